"""What a run costs: CPU time of a process and all its descendants, and numbers summed up."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """`pid` and its living descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                todo += [int(word) for word in children.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time so far of the tree under `pid`, those of its children that have ended included."""
    ticks = 0
    for member in process_tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(fields[index]) for index in (11, 12, 13, 14))  # utime stime cutime cstime
    return ticks / TICK


def memory(pid: int) -> float:
    """Proportional set size of the tree in MiB."""
    kilobytes = 0
    for member in process_tree(pid):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
    return kilobytes / 1024


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.4g} [{min(values):.4g}..{max(values):.4g}]"
