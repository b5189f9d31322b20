"""What waits in the lane, and who is next when there is room.

    later     by its next attempt (shared/spool/schedule.py)
    ready     due: urgent before usual before bulk, new and old in turns, flow by flow
    parked    due, but its destination has no room: it comes back when there is some, by urgency and flow as well

New mail and old are taken in turns, so that a backlog that is due all at once (a smarthost is back after a day) does
not delay the letter written now, nor the other way round. Only names and times; nothing is opened here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from shared.delivery.turns import Turns
from shared.spool.names import standing
from shared.spool.schedule import Schedule

R = TypeVar("R")

#  One in so many goes to the lowest rank that waits: bulk is slowed down by urgent mail, never stopped.
SHARE_OF_THE_LOWEST = 7
#  What is due at once is made ready in portions, as a million names take seconds.
RIPEN_AT_ONCE = 1000


class _Rank:
    """Mail of one urgency: what is new, and what has waited."""

    def __init__(self) -> None:
        self.new, self.old = Turns(), Turns()
        self._is_new_next = True

    def __bool__(self) -> bool:
        return bool(self.new.order or self.old.order)

    def next(self) -> str:
        """Empty when nobody is left."""
        first, second = (self.new, self.old) if self._is_new_next else (self.old, self.new)
        turns = first if first.order else second
        if not turns.order:
            return ""
        self._is_new_next = not self._is_new_next
        return turns.next()


class _Crowd:
    """Mail that is parked for one destination: by urgency, and within that flow by flow. A newsletter of thousands
    that found no room there has come back after a few when a letter of somebody else waits as well."""

    def __init__(self) -> None:
        self._ranks = (Turns(), Turns(), Turns())
        self._handed_out = 0

    def add(self, name: str) -> None:
        flow, priority = standing(name)
        self._ranks[_rank_of(priority)].add(flow, name)

    def next(self) -> str:
        """Empty when nobody is left."""
        self._handed_out += 1
        return next((turns.next() for turns in _in_order(self._ranks, self._handed_out) if turns), "")

    def __bool__(self) -> bool:
        return any(self._ranks)


class Waiting:
    """A name is in one place only. A second claim of a name would find nothing, which costs a rename."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._ranks = (_Rank(), _Rank(), _Rank())
        self._ready: set[str] = set()
        self._parked: dict[str, str] = {}
        self._parked_at: dict[str, _Crowd] = {}
        self._resumed: deque[str] = deque()
        self._now = float("-inf")
        self._handed_out = 0

    def __len__(self) -> int:
        return len(self._schedule) + len(self._ready) + len(self._parked)

    def __contains__(self, name: str) -> bool:
        return name in self._schedule or name in self._ready or name in self._parked

    def arrive(self, name: str) -> None:
        """New, and due."""
        if name not in self._ready and name not in self._parked:
            self._schedule.forget(name)
            self._make_ready(name, is_new=True)

    def notice(self, name: str, due: float) -> None:
        """It waits until `due`."""
        if name in self._ready or name in self._parked:
            if due <= self._now:
                return
            self.forget(name)
        self._schedule.notice(name, due)

    def forget(self, name: str) -> None:
        self._schedule.forget(name)
        #  What stands in the turns under this name is passed over when it comes up.
        self._ready.discard(name)
        self._parked.pop(name, None)

    def park(self, name: str, destination: str) -> None:
        """It is due, and waits for room at `destination` as long as that takes."""
        self.forget(name)
        self._parked[name] = destination
        crowd = self._parked_at.get(destination)
        if crowd is None:
            crowd = self._parked_at[destination] = _Crowd()
        crowd.add(name)

    def destinations(self) -> Iterable[str]:
        """Those that something is parked for."""
        return tuple(self._parked_at) if self._parked_at else ()

    def resume(self, destination: str, limit: int) -> list[str]:
        """Names parked for `destination` that are soon to be taken; of a flow the longest parked first."""
        names: list[str] = []
        parked = self._parked_at[destination]
        while len(names) < limit and (name := parked.next()):
            if self._parked.get(name) == destination:
                del self._parked[name]
                self._ready.add(name)
                self._resumed.append(name)
                names.append(name)
        if not parked:
            del self._parked_at[destination]
        return names

    def take(self, now: float, limit: int) -> list[str]:
        """At most `limit` names that are due; they no longer wait here."""
        self._now = now
        for name in self._schedule.due(now, RIPEN_AT_ONCE) if len(self._schedule) else ():
            if name not in self._ready:
                self._make_ready(name, is_new=False)
        names: list[str] = []
        ready = self._ready
        while len(names) < limit and (name := self._next()):
            if name in ready:
                ready.discard(name)
                names.append(name)
        return names

    def next_due(self) -> float | None:
        """When `take` will have something; any time in the past if it has now."""
        return float("-inf") if self._ready else self._schedule.next_due()

    def _make_ready(self, name: str, is_new: bool) -> None:
        flow, priority = standing(name)
        rank = self._ranks[_rank_of(priority)]
        self._ready.add(name)
        (rank.new if is_new else rank.old).add(flow, name)

    def _next(self) -> str:
        """Empty when nothing is ready. Who was called back takes turns with the rest: neither waits for the other."""
        self._handed_out += 1
        if self._resumed and (self._handed_out & 1 or not any(self._ranks)):
            return self._resumed.popleft()
        for rank in _in_order(self._ranks, self._handed_out):
            if name := rank.next():
                return name
        return ""


def _rank_of(priority: int) -> int:
    return 0 if priority > 0 else 1 if priority == 0 else 2


def _in_order(ranks: Sequence[R], handed_out: int) -> Sequence[R]:
    """The ranks in which to look for the next name, when so many have been handed out."""
    return ranks if handed_out % SHARE_OF_THE_LOWEST else ranks[::-1]
