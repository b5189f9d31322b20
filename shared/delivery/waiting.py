"""What waits in the lane: new mail in the order it came, and everything else by its next attempt.

New mail and old are taken in turns, so that a backlog that is due all at once (a smarthost is back after a day) does
not delay the letter written now, nor the other way round. Only names and times; nothing is opened here.
"""

from __future__ import annotations

from collections import deque

from shared.spool.schedule import Schedule


class Waiting:
    """Names may be in both queues at once; the second claim of a name finds nothing, which costs a rename."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._fresh: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._schedule) + len(self._fresh)

    def arrive(self, name: str) -> None:
        """New, and due."""
        self._fresh.append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._schedule

    def forget(self, name: str) -> None:
        self._schedule.forget(name)

    def notice(self, name: str, due: float) -> None:
        """It waits until `due`."""
        self._schedule.notice(name, due)

    def take(self, now: float, limit: int) -> list[str]:
        """At most `limit` names that are due; they no longer wait here."""
        fresh = self._fresh
        fair = min(len(fresh), (limit + 1) // 2)
        names = self._schedule.due(now, limit - fair) if len(self._schedule) else []
        for _ in range(min(len(fresh), limit - len(names))):
            names.append(fresh.popleft())
        return names

    def next_due(self) -> float | None:
        """When `take` will have something; any time in the past if it has now."""
        return float("-inf") if self._fresh else self._schedule.next_due()
