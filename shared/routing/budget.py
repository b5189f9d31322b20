"""Budgets: how much a next hop takes from us in how much time, what of it is spent, and when it will be used up.

Pure: time comes in as an argument, Unix seconds. A limit holds for every span of its length, not for the hours of a
clock, as nobody tells us when a provider's hour begins. Counts are kept in sixty slots of each limit; one slot is
forgotten only when all that is in it is old enough. Not here: who asks (shared/transport/terms.py), where the counts
outlive a restart (shared/state/hop_book.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from shared.mail.record import dataclass

SLOTS = 60
#  The present pace is that of the last slots.
PACE_SLOTS = 15


class Unit(StrEnum):
    """What is counted."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"


class Over(StrEnum):
    """What mail does that finds a budget used up. NEXT: goes to the next smarthost, if there is one. WAIT: waits."""

    NEXT = "next"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` of `unit` within any `seconds`."""

    unit: Unit
    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count} {self.unit} in {words_of_span(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Budget:
    """`reserve`: percent of each limit that is left to mail of a priority above the usual."""

    limits: tuple[Limit, ...] = ()
    reserve: int = 0
    over: Over = Over.NEXT

    def share(self, limit: Limit, is_urgent: bool) -> int:
        """How much of `limit` mail may use."""
        return limit.count if is_urgent else max(1, limit.count * (100 - self.reserve) // 100)


NO_BUDGET = Budget()


@dataclass(slots=True)
class Meter:
    """What was spent of one limit, by slot of its time; see `Limit` for the arguments."""

    limit: Limit
    slots: dict[int, int] = field(default_factory=dict)

    @property
    def _slot(self) -> float:
        return self.limit.seconds / SLOTS

    def spend(self, amount: int, now: float) -> None:
        """A negative amount gives back."""
        self._forget(now)
        slot = int(now // self._slot)
        while amount < 0 and self.slots:
            last = max(self.slots)
            back = min(-amount, self.slots[last])
            amount += back
            self.slots[last] -= back
            if not self.slots[last]:
                del self.slots[last]
        if amount > 0:
            self.slots[slot] = self.slots.get(slot, 0) + amount

    def spent(self, now: float) -> int:
        self._forget(now)
        return sum(self.slots.values())

    def free_in(self, amount: int, most: int, now: float) -> float:
        """Seconds until `amount` more, which is not above `most`, is within `most`."""
        surplus = self.spent(now) + amount - most
        if surplus <= 0:
            return 0.0
        for slot in sorted(self.slots):
            surplus -= self.slots[slot]
            if surplus <= 0:
                return max(self._end_of(slot) - now, 0.001)
        return self.limit.seconds

    def used_up_in(self, most: int, now: float) -> float | None:
        """Seconds until `most` is reached if it goes on as in the last quarter of the time; None: it will not be."""
        if (spent := self.spent(now)) >= most:
            return 0.0
        pace = self.pace(now)
        if pace <= 0:
            return None
        for step in range(1, SLOTS + 1):
            later = now + step * self._slot
            left = sum(count for slot, count in self.slots.items() if self._end_of(slot) > later)
            if left + pace * (later - now) >= most:
                return min(step * self._slot, max(0.0, (most - spent) / pace))
        return None

    def pace(self, now: float) -> float:
        """Per second, of late."""
        first = int(now // self._slot) - PACE_SLOTS + 1
        recent = sum(count for slot, count in self.slots.items() if slot >= first)
        return recent / (PACE_SLOTS * self._slot)

    def _end_of(self, slot: int) -> float:
        """When what was spent last in it is no longer counted."""
        return (slot + 1) * self._slot + self.limit.seconds

    def _forget(self, now: float) -> None:
        newest = int(now // self._slot)
        for slot in list(self.slots):
            #  A slot of the future was counted while the clock was wrong.
            if self._end_of(slot) <= now or slot > newest + 1:
                del self.slots[slot]


class Account:
    """The meters of one next hop. `kept` are slots from before, by the words of their limit."""

    def __init__(self, budget: Budget, kept: Mapping[str, Mapping[int, int]] | None = None) -> None:
        self.budget = budget
        self.meters = tuple(Meter(limit, dict((kept or {}).get(str(limit), {}))) for limit in budget.limits)

    def room(self, wanted: int, is_urgent: bool, now: float) -> int:
        """To how many of `wanted` recipients a message may go now."""
        room = wanted
        for meter in self.meters:
            left = self.budget.share(meter.limit, is_urgent) - meter.spent(now)
            if left <= 0:
                return 0
            if meter.limit.unit is Unit.RECIPIENTS:
                room = min(room, left)
        return room

    def free_in(self, wanted: int, is_urgent: bool, now: float) -> tuple[float, Limit | None]:
        """Seconds until it may go to all of them, or to as many as ever may at once, and the limit it waits for."""
        longest, which = 0.0, None
        for meter in self.meters:
            share = self.budget.share(meter.limit, is_urgent)
            amount = min(wanted, share) if meter.limit.unit is Unit.RECIPIENTS else 1
            wait = meter.free_in(amount, share, now)
            if wait > longest:
                longest, which = wait, meter.limit
        return longest, which

    def spend(self, messages: int, recipients: int, now: float) -> None:
        for meter in self.meters:
            meter.spend(recipients if meter.limit.unit is Unit.RECIPIENTS else messages, now)

    def kept(self) -> dict[str, dict[int, int]]:
        """For the next start."""
        return {str(meter.limit): dict(meter.slots) for meter in self.meters}


def words_of_span(seconds: float) -> str:
    """60 → 1m, 86400 → 1d, 90 → 90s."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
