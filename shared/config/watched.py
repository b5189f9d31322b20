"""A file that may be replaced while we run: has it changed since it was read?

Asked at every message and every login, so that the answer costs one stat() a second and no more.
Not here: reading it, or what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_PAUSE = 1.0  #  seconds between two looks

Stamp = tuple[int, int, int] | None


class WatchedFile:
    """`path` as it was at the last `mark`. A missing file is a state like any other."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._seen: Stamp = None
        self._next_look = float("-inf")

    def mark(self) -> None:
        """Call before reading: a change during the read is then seen as one."""
        self._seen = self._stamp()
        self._next_look = self._clock() + _PAUSE

    def expire(self) -> None:
        """Look at once when next asked: somebody misses what may just have been written."""
        self._next_look = float("-inf")

    def has_changed(self) -> bool:
        """Whether the file is another than at the last mark; False within a second of the last look."""
        now = self._clock()
        if now < self._next_look:
            return False
        self._next_look = now + _PAUSE
        return self._stamp() != self._seen

    def _stamp(self) -> Stamp:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
