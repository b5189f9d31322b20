"""Account of a load: what was acknowledged, what may have arrived without, and what was found in the end.

Messages carry a token at their head and at their end, so that a torn one is told from a whole one. A client that loses its
connection while it waits for the last reply cannot know (RFC 1047): such a token is `unanswered` once more, and that many copies
too many are the protocol's and not ours. `refused` are those that heard 4xx at their end: when the folder that names an entry cannot be
synced, a carrier may have claimed the entry already (docs/spool.md, D4), and the repeat is one copy more.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from clients import Raw

TOKEN = re.compile(rb"tok-\w+-\d+-\.")
LARGEST = 40_000


def body(token: str, octets: int) -> bytes:
    head, end = f"From: load\r\nSubject: {token}\r\n\r\n", f"end {token}\r\n"
    return head.encode() + (b"x" * 76 + b"\r\n") * (octets // 78) + end.encode()


def token_of(message: bytes) -> str:
    found = TOKEN.search(message[:3000])
    return found[0].decode() if found else ""


def is_whole(message: bytes, token: str) -> bool:
    return message.replace(b"\r\n", b"\n").endswith(f"end {token}\n".encode())


def tokens_below(*folders: Path) -> tuple[Counter[str], list[str]]:
    """How often each token is in files below `folders`; and the files that are torn."""
    found: Counter[str] = Counter()
    torn = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.parent.name in ("new", "cur") or path.suffix == ".eml":
                with contextlib.suppress(FileNotFoundError):  #  Moved on meanwhile, where daemons are at work.
                    message = path.read_bytes()
                    token = token_of(message)
                    if token and is_whole(message, token):
                        found[token] += 1
                    else:
                        torn.append(str(path))
    return found, torn


class Flow:
    """`sessions` clients that send to `recipient`, each a message every `pause` seconds, until `end`; they come back
    when the connection breaks, with the same message if it was not acknowledged. `acked(token)` is called for each 250."""

    def __init__(
        self,
        port: int,
        recipient: str,
        sessions: int = 2,
        pause: float = 0.05,
        largest: int = LARGEST,
        acked: Callable[[str], object] = lambda token: None,
    ) -> None:
        self._port, self.recipient, self._pause, self._largest = port, recipient, pause, largest
        self._name = f"tok-{id(self):x}"
        self._acked = acked
        self._number = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.acknowledged: set[str] = set()
        self.unanswered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.later: Counter[str] = Counter()
        self.surprises: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(sessions)]

    def start(self) -> Flow:
        for thread in self._threads:
            thread.start()
        return self

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        assert not self.surprises, self.surprises[:5]

    def _token(self) -> str:
        with self._lock:
            self._number += 1
            return f"{self._name}-{self._number}-."

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        token = self._token()
        while not self._ended.is_set():
            with contextlib.suppress(OSError), Raw(self._port) as raw:
                if raw.greeting.startswith("220") and raw.say("EHLO load.example").startswith("250"):
                    while not self._ended.is_set() and self._transaction(
                        raw, token, chance.randrange(200, self._largest)
                    ):
                        token = self._token()
                        time.sleep(self._pause)
            time.sleep(0.03)

    def _transaction(self, raw: Raw, token: str, octets: int) -> bool:
        for command in ("MAIL FROM:<load@hq.example>", f"RCPT TO:<{self.recipient}>", "DATA"):
            said = raw.say(command)
            if said[0] not in "23":
                self._count(command.partition(" ")[0], said)
                return False
        with self._lock:
            self.unanswered[token] += 1
        raw.send(body(token, octets) + b".\r\n")
        said = raw.reply()
        with self._lock:
            self.unanswered[token] -= 1
        if not said.startswith("250"):
            self.refused[token] += 1
            self._count("end", said)
            return False
        self.acknowledged.add(token)
        self._acked(token)
        return True

    def _count(self, when: str, said: str) -> None:
        with self._lock:
            self.later[f"{when}: {said[:9]}"] += 1
        if said[0] == "5":
            self.surprises.append(f"{when}: {said}")


def acknowledged(flows: Iterable[Flow]) -> set[str]:
    return set().union(*(flow.acknowledged for flow in flows))


def copies_too_many(found: Counter[str], flows: Iterable[Flow], in_flight: Counter[str]) -> tuple[int, list[str]]:
    """How many copies there are beyond the first; and the tokens with more of them than were in flight at a crash."""
    unanswered: Counter[str] = Counter()
    for flow in flows:
        unanswered.update(+flow.unanswered + flow.refused)
    extra = {token: count - 1 for token, count in found.items() if count > 1}
    unexplained = [token for token, count in extra.items() if count > unanswered[token] + in_flight[token]]
    return sum(extra.values()), unexplained


def enough(done: int, wanted: int, what: str) -> None:
    """Nothing was wrong in what was done; were it too little to say so, the table has to say that."""
    if done < wanted:
        import pytest  #  Not above: the guest of test_proof_nfs.py has none.

        pytest.skip(f"nothing was found, but only {done} of {wanted} {what} were done in the time there was")
