"""Turns: names of entries, handed out flow by flow, so that ten thousand letters of one sender cost another one turn.

Knows the marks in names (shared/spool/names.py) and nothing of times.
"""

from __future__ import annotations

from collections import deque


class Turns:
    """Within a flow the first that came is the first that goes. `order`: the flows that have somebody, next first."""

    def __init__(self) -> None:
        self._flows: dict[str, deque[str]] = {}
        self.order: deque[str] = deque()

    def __bool__(self) -> bool:
        return bool(self.order)

    def add(self, flow: str, name: str) -> None:
        names = self._flows.get(flow)
        if names is None:
            self._flows[flow] = deque((name,))
            self.order.append(flow)
        else:
            names.append(name)

    def next(self) -> str:
        """The next name. Raises IndexError when there is none."""
        flow = self.order.popleft()
        names = self._flows[flow]
        name = names.popleft()
        if names:
            self.order.append(flow)
        else:
            del self._flows[flow]
        return name
