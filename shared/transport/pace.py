"""Pace: writes to a next hop that may not take more than its share of the line.

A token bucket that all connections to a hop draw on, and a writer for each of them that cuts what it is given into
slices and lets each go when the bucket has come to it. Nothing sleeps: what waits, waits in the writer. Connections
without a cap have no writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

#  Seconds of the line that one slice may take: several connections share it evenly, and no server sees a pause.
SLICE = 0.25
SMALLEST_SLICE = 512


class Pace:
    """`rate` is octets a second."""

    def __init__(self, rate: int, clock: IReactorTime) -> None:
        self.clock = clock
        self.slice = max(SMALLEST_SLICE, int(rate * SLICE))
        self._rate = rate
        self._free_at = 0.0

    def reserve(self, octets: int) -> float:
        """Seconds until `octets` may go; the line is theirs then."""
        now = self.clock.seconds()
        start = max(self._free_at, now)
        self._free_at = start + octets / self._rate
        return start - now


class PacedWriter:
    """`write` writes to the connection; `drained` is called when nothing is held any more."""

    def __init__(self, pace: Pace, write: Callable[[bytes], object], drained: Callable[[], object]) -> None:
        self._pace = pace
        self._write = write
        self._drained = drained
        self._held: deque[bytes] = deque()
        self._timer: Any = None

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def write(self, data: bytes) -> None:
        size = self._pace.slice
        self._held.extend(data[start : start + size] for start in range(0, len(data), size))
        if self._timer is None:
            self._go_on()

    def stop(self) -> None:
        """Nothing more is written, and what is held is forgotten."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        while self._held:
            delay = self._pace.reserve(len(self._held[0]))
            if delay > 0:
                self._timer = self._pace.clock.callLater(delay, self._turn)
                return
            self._write(self._held.popleft())

    def _turn(self) -> None:
        self._timer = None
        if not self._held:
            return
        self._write(self._held.popleft())
        self._go_on()
        if not self._held:
            self._drained()
