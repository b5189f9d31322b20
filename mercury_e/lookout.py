"""Who watches port 25 for the sites on `auto`: knocks in rounds, keeps the circuits in the spool, tells of a change.

The circuits are kept in a file that every daemon looks at (shared/state/site_words.py), so they outlive a restart and
mail follows in all lanes. Where several hosts share a spool, the one that began it goes on, and the others follow as
long as it does. The rules are breaker.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

from mercury_e.breaker import Circuit, Rules, Verdict, judge_round, step
from shared.mail.record import dataclass
from shared.observe import events
from shared.routing.next_hop import NextHop
from shared.state.site_words import UnreadableWords, read_port_25, write_port_25
from shared.vantage.knock import Knock

#  So many rounds that did not come, and another host takes over.
_LEASE = 3.0
BLOCKED = "port 25 is blocked here"


class Prober(Protocol):
    """As shared.vantage.probe.Probe."""

    async def knock_at(self, endpoints: Sequence[str]) -> tuple[Knock, ...]: ...

    async def takes_connections(self, hops: Sequence[NextHop]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Rounds:
    """What the configuration says: the hosts, the seconds between rounds, and how long one may take."""

    hosts: tuple[str, ...]
    every: float
    again: float
    rules: Rules


class Lookout:
    """`begin` and `stop` once each. `watched` gives the sites on `auto` with their smarthosts; `notify` is told of a
    site that has begun to relay, once in a series."""

    def __init__(
        self,
        spool: Path,
        node: str,
        rounds: Rounds,
        prober: Prober,
        watched: Callable[[], Mapping[str, Sequence[NextHop]]],
        notify: Callable[[str, tuple[Knock, ...]], Awaitable[None]],
        clock: Callable[[], float],
        report: Callable[..., None],
    ) -> None:
        self.rounds = rounds
        self.prober = prober
        self._spool = spool
        self._node = node
        self._watched = watched
        self._notify = notify
        self._clock = clock
        self._report = report
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def suspect(self) -> None:
        """A delivery has just failed to connect, or another site is watched: do not wait for the next round."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            rest = self.rounds.every
            try:
                if watched := self._watched():
                    rest = await self.round(watched)
            except Exception as error:
                self._report(events.FAULT, where="watch over port 25", error=repr(error))
            #  However many deliveries fail, there is at most one round in `again` seconds.
            shortest = min(rest, self.rounds.again)
            await asyncio.sleep(shortest)
            if rest > shortest:
                await self._wait(rest - shortest)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def round(self, watched: Mapping[str, Sequence[NextHop]]) -> float:
        """One round for all of `watched`; the answer is when the next one is wanted, in seconds."""
        document = self._read()
        now = self._clock()
        if self._is_led_by_another(document, now):
            return self.rounds.every
        knocks = await self.prober.knock_at(self.rounds.hosts)
        relays = await asyncio.gather(*(self.prober.takes_connections(hops) for hops in watched.values()))
        now = self._clock()
        known = document.get("sites", {})
        circuits: dict[str, Circuit] = {}
        changed: list[str] = []
        verdicts: dict[str, Verdict] = {}
        for name, relay_answers in zip(watched, relays, strict=True):
            before = _circuit(known.get(name))
            verdicts[name] = judge_round(knocks, relay_answers)
            circuits[name] = step(before, verdicts[name], now, self.rounds.rules)
            if circuits[name].is_relaying != before.is_relaying:
                changed.append(name)
        self._write(now, knocks, circuits)
        self._report(
            events.PORT_25_KNOCKED,
            hosts=", ".join(f"{knock.host} {knock.finding}" for knock in knocks),
            sites=", ".join(f"{name} {verdict}" for name, verdict in verdicts.items()),
        )
        for name in changed:
            await self._tell(name, circuits[name], knocks)
        is_in_doubt = any(circuit.is_in_doubt(self.rounds.rules) for circuit in circuits.values())
        return self.rounds.again if is_in_doubt else self.rounds.every

    async def _tell(self, name: str, circuit: Circuit, knocks: tuple[Knock, ...]) -> None:
        if not circuit.is_relaying:
            self._report(events.PORT_25_OPEN, site=name)
            return
        self._report(events.PORT_25_BLOCKED, site=name, reason="; ".join(_words(knock) for knock in knocks))
        if circuit.relapses == 0:
            await self._notify(name, knocks)

    def _is_led_by_another(self, document: Mapping[str, Any], now: float) -> bool:
        if document.get("node") in (None, self._node):
            return False
        return 0 <= now - float(document.get("at", 0)) < _LEASE * self.rounds.every

    def _read(self) -> dict[str, Any]:
        try:
            return read_port_25(self._spool)
        except (OSError, UnreadableWords) as error:
            self._report(events.SITE_WORDS_TROUBLE, reason=str(error))
            return {}

    def _write(self, now: float, knocks: Sequence[Knock], circuits: Mapping[str, Circuit]) -> None:
        sites = {name: {**asdict(circuit), "reason": BLOCKED} for name, circuit in circuits.items()}
        document = {"node": self._node, "at": now, "knocks": [asdict(knock) for knock in knocks], "sites": sites}
        try:
            write_port_25(self._spool, document)
        except OSError as error:
            self._report(events.SITE_WORDS_TROUBLE, reason=str(error))


def _circuit(kept: Any) -> Circuit:
    """As it was kept; a new one for a site that was not watched before, or what makes no sense."""
    try:
        return Circuit(**{field.name: kept[field.name] for field in fields(Circuit)})
    except (KeyError, TypeError):
        return Circuit()


def _words(knock: Knock) -> str:
    return f"{knock.host} {knock.finding.value}" + (f" ({knock.detail})" if knock.detail else "")
