"""R-01: kill -9, five hundred times, of every daemon and worker under load, alone and all at the same instant.

Each daemon has its own killer, so that deaths and starts overlap as they like; every second start is cut short by another
kill. At a death the tokens of the entries that the dead one had claimed are written down: only these, and those whose
client got no answer, may arrive once more.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from account import Flow, acknowledged, copies_too_many, enough, token_of, tokens_below
from deadline import eventually
from mailsite import Site
from peers import FarEnd, NameServer
from process import StartFailed, free_port
from setting import FAR_ADDRESSES, Stage
from sound import mend

KILLS = 500
SECONDS = 600
#  How long each may live, ready for mail, before it is killed. MercuryS is three processes, which take their time to
#  start: were it killed as often as the others, there would be no mail.
LIFE = {"s": (0.5, 4.0), "c": (0.05, 0.8), "e": (0.05, 0.8), "worker": (0.05, 0.6), "all": (6.0, 12.0)}
#  After how long a start is cut short; a start of C or E takes half a second to a second on a quiet machine.
CUT_SHORT = (0.05, 1.0)
LANES = {"s": ".local", "c": ".relay", "e": ".direct"}
RECIPIENTS = ("anna@hq.example", "x@elsewhere.example", "x@partner.example")


class Killer:
    """`kills` by victim; `in_flight`: how often each token was claimed by somebody who died."""

    def __init__(self, site: Site, goal: int, goes_on: Callable[[], bool]) -> None:
        self._site, self._goal, self._goes_on = site, goal, goes_on
        self._locks = {letter: threading.Lock() for letter in LANES}
        self._count = threading.Lock()
        self.kills: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.faults: list[str] = []
        self._spared_until = 0.0

    def run(self) -> None:
        threads = [threading.Thread(target=self._guarded, args=(victim,)) for victim in LIFE]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _guarded(self, victim: str) -> None:
        chance = random.Random(victim)
        try:
            while self._goes_on() and self.kills.total() < self._goal and not self.faults:
                time.sleep(chance.uniform(*LIFE[victim]))
                self._kill(victim, chance)
        except Exception as error:
            self.faults.append(f"{victim}: {error!r}")

    def _kill(self, victim: str, chance: random.Random) -> None:
        letters = "sce" if victim == "all" else victim
        if victim == "worker":
            #  While the daemon is starting only now and then: were it more often, it would never start.
            is_starting = self._locks["s"].locked()
            if is_starting and time.monotonic() < self._spared_until:
                return
            if is_starting:
                self._spared_until = time.monotonic() + 30
            if self._kill_worker():
                self._add(victim)
            return
        with contextlib.ExitStack() as held:
            for letter in letters:
                held.enter_context(self._locks[letter])
            for letter in letters:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._site.daemons[letter].pid, signal.SIGKILL)
            for letter in letters:
                self._site.daemons[letter].wait()
                self._note(letter)
            self._add(victim)
            held.pop_all()
        #  Each may be killed again as soon as it is there, while others still start.
        with ThreadPoolExecutor() as together:
            list(together.map(self._start_and_let_go, letters, [chance.random() for _ in letters]))

    def _start_and_let_go(self, letter: str, chance: float) -> None:
        try:
            self._start(letter, chance)
        finally:
            self._locks[letter].release()

    def _start(self, letter: str, chance: float) -> None:
        """As a service manager does: again, when it was killed, or a worker of it, before it was ready."""
        if chance < 0.5 and not self._is_ready_within(
            letter, CUT_SHORT[0] + 2 * chance * (CUT_SHORT[1] - CUT_SHORT[0])
        ):
            self._add(f"{letter}_starting")
        for _ in range(10):
            if self._site.daemons[letter].is_running or self._is_ready_within(letter, 60):
                return
        raise AssertionError(f"mercury-{letter} does not start:\n{self._site.daemons[letter].output()[-3000:]}")

    def _is_ready_within(self, letter: str, seconds: float) -> bool:
        """Whether it is; if not, it is dead when this returns, and what it had claimed already is written down."""
        try:
            self._site.daemons[letter].start_notified(seconds)
        except StartFailed:
            self._note(letter)
            return False
        return True

    def _kill_worker(self) -> bool:
        """The lock is not taken: the first process may be dying at this moment."""
        pid = self._site.daemons["s"].pid
        with contextlib.suppress(OSError, IndexError):
            os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), signal.SIGKILL)
            return True
        return False

    def _note(self, letter: str) -> None:
        """What the dead one had claimed; nobody else works on its lane."""
        for path in (self._site.root / "spool" / LANES[letter] / "cur").iterdir():
            self.in_flight[token_of(path.read_bytes())] += 1

    def _add(self, victim: str) -> None:
        with self._count:
            self.kills[victim] += 1


def prepare(site: Site, far_end: FarEnd, server: NameServer) -> None:
    site.relay_to(far_end.hop)
    site.config["routes"] = [{"to": ["partner.example"], "deliver": "direct"}]
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.config["receive"]["workers"] = 2
    site.write_config()


def check(site: Site, far_end: FarEnd, flows: list[Flow], in_flight: Counter[str]) -> dict[str, int]:
    """Nothing lost, nothing torn, no copy but of what was in flight."""
    taken = acknowledged(flows)
    found, torn = tokens_below(site.root / "mail", far_end.folder)
    lost = taken - set(found)
    assert not lost, f"{len(lost)} of {len(taken)} acknowledged lost: {sorted(lost)[:5]}"
    assert not torn, f"torn: {torn[:5]}"
    copies, unexplained = copies_too_many(found, flows, in_flight)
    whose = Counter(flow.recipient for flow in flows for token in unexplained if token in flow.acknowledged)
    assert not unexplained, (
        f"{copies} copies, {len(unexplained)} of what was not in flight {dict(whose)}: {unexplained[:3]}"
    )
    assert not list((site.root / "spool" / "corrupt").iterdir())
    return {"acknowledged": len(taken), "lost": 0, "torn": 0, "second_copies": copies, "in_flight": in_flight.total()}


@pytest.mark.timeout(SECONDS + 300)
def test_killed_at_random_moments(
    site: Site, stage: Stage, tmp_path: Path, tell: Callable[..., None], left: Callable[[float], Callable[[], bool]]
) -> None:
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES, "--delay", "0.01")
    server = NameServer(tmp_path, free_port("127.0.0.1"), {"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    stage.peer(far_end)
    stage.peer(server)
    prepare(site, far_end, server)
    site.start()
    flows = [Flow(site.port, recipient, sessions=2, pause=0.2).start() for recipient in RECIPIENTS]
    killer = Killer(site, KILLS, left(SECONDS))
    killer.run()
    for flow in flows:
        flow.end()
    kills = {f"killed_{victim}": count for victim, count in sorted(killer.kills.items())}
    tell(kills=killer.kills.total(), **kills)
    assert not killer.faults, killer.faults
    eventually(site.is_empty, 120, "an empty queue")
    tell(**check(site, far_end, flows, killer.in_flight))
    site.stop()
    tell(mended_by_queue_check=mend(site))
    enough(killer.kills.total(), KILLS, "kills")
