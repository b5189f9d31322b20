"""How much of the machine others had while something was timed: a mark in seconds means little on a busy one."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Others:
    """From its making on: what part of all processors went to processes that are not our children."""

    def __init__(self) -> None:
        self._began, self._busy, self._ours = time.monotonic(), _busy(), _ours()

    def share(self) -> float:
        """From 0 to 1. Of our children those count that have been waited for."""
        whole = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_busy() - self._busy) - (_ours() - self._ours)) / whole


def _busy() -> float:
    """Processor seconds of everybody, without idling and waiting for the disk (proc_stat(5))."""
    user, nice, system, _idle, _disk, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + sum(rest[:3])) / _TICKS


def _ours() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )
