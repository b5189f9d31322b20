"""What the DNS said, for as long as it may be believed; and for a while longer when nobody answers.

Here: time and room, and that a question is asked once however many wait for it. Not here: what is asked. RFC 2308
(negative answers), RFC 8767 (stale ones), RFC 9520 (failures are remembered too). The clock comes in as an argument.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, assert_never

from shared.dns.answers import Answer, Found, NoData, NoSuchName, Trouble

SHORTEST = 30.0  #  a TTL of 0 must not make every message ask again
LONGEST = 86400.0  #  nor a wrong one stay for 68 years
LONGEST_NEGATIVE = 10800.0  #  RFC 2308 §5: one to three hours work well
TROUBLE = 2.0  #  RFC 9520 §3.2 demands one second; an operator who has just mended it should not wait
STALE_RETRY = 30.0  #  RFC 8767 §5
STALE_LIMIT = 3 * 86400.0  #  RFC 8767 §5 suggests one to three days


def lifetime(answer: Answer[Any]) -> float:
    """How long to believe it, in seconds."""
    match answer:
        case Found():
            return min(max(answer.ttl, SHORTEST), LONGEST)
        case NoData() | NoSuchName():
            return min(max(answer.ttl, SHORTEST), LONGEST_NEGATIVE)
        case Trouble():
            return TROUBLE
        case _:
            assert_never(answer)


@dataclass(slots=True)
class _Entry:
    answer: Answer[Any]
    fresh_until: float
    usable_until: float


class Cache:
    """Bounded: the entry that was used longest ago makes room."""

    def __init__(self, clock: Callable[[], float], capacity: int = 20_000) -> None:
        self._clock = clock
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._flights: dict[Hashable, asyncio.Task[Answer[Any]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, question: Hashable) -> Answer[Any] | None:
        """The answer if it may still be believed, without asking."""
        entry = self._entries.get(question)
        if entry is None or entry.fresh_until <= self._clock():
            return None
        self._entries.move_to_end(question)
        return entry.answer

    async def answer(self, question: Hashable, ask: Callable[[], Awaitable[Answer[Any]]]) -> Answer[Any]:
        """The answer known, or the one `ask` brings; those who come while it is under way wait for the same one."""
        known = self.known(question)
        if known is not None:
            return known
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = asyncio.ensure_future(self._fly(question, ask))
        # One who gives up waiting must not take the answer from the others.
        return await asyncio.shield(flight)

    def close(self) -> None:
        """Give up the questions under way."""
        for flight in tuple(self._flights.values()):
            flight.cancel()

    async def _fly(self, question: Hashable, ask: Callable[[], Awaitable[Answer[Any]]]) -> Answer[Any]:
        try:
            return self._keep(question, await ask())
        finally:
            del self._flights[question]

    def _keep(self, question: Hashable, answer: Answer[Any]) -> Answer[Any]:
        now = self._clock()
        old = self._entries.get(question)
        if isinstance(answer, Trouble) and old and isinstance(old.answer, Found | NoData) and now < old.usable_until:
            old.answer = replace(old.answer, stale=True)
            old.fresh_until = now + STALE_RETRY
            self._entries.move_to_end(question)
            return old.answer
        until = now + lifetime(answer)
        self._entries[question] = _Entry(answer, until, until + STALE_LIMIT)
        self._entries.move_to_end(question)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return answer
