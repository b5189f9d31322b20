"""When which entry is due: names and times in memory, nothing of the files behind them.

Pure. Told about an entry twice it keeps one; told a new time it forgets the old one.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Schedule:
    """Entries of one lane that wait. Due times are Unix seconds."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        #  May hold more than `_due`: what was forgotten stays until it comes up, or until it is the larger part.
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def notice(self, name: str, due: float) -> None:
        """`name` waits until `due`."""
        if self._due.get(name) != due:
            self._due[name] = due
            heappush(self._heap, (due, name))
            self._tidy()

    def forget(self, name: str) -> None:
        """`name` waits no longer; somebody else has it."""
        self._due.pop(name, None)
        self._tidy()

    def due(self, now: float, limit: int) -> list[str]:
        """At most `limit` names whose time has come, the longest overdue first. They are handed out once."""
        names: list[str] = []
        heap = self._heap
        while heap and heap[0][0] <= now and len(names) < limit:
            due, name = heappop(heap)
            if self._due.get(name) == due:
                del self._due[name]
                names.append(name)
        return names

    def next_due(self) -> float | None:
        """The earliest time at which something is due; None when nothing waits."""
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._due) + 1000:
            self._heap = [(due, name) for name, due in self._due.items()]
            heapify(self._heap)
