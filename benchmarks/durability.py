"""What each server makes durable before it says 250: system calls for each received message, counted by strace."""

from __future__ import annotations

import collections
import re
import signal
import subprocess
from pathlib import Path

from cases import CASES, Bench, until
from measure import process_tree
from rivals import Rival, Task

CALLS = ("fsync", "fdatasync", "syncfs", "sync_file_range", "rename", "renameat", "renameat2", "link", "linkat")
MESSAGES = 100


def is_synced(calls: dict[str, float]) -> bool:
    """At least one sync for each message."""
    return sum(calls.get(name, 0) for name in ("fsync", "fdatasync", "syncfs")) >= 1


def count_calls(bench: Bench, rival: Rival, folder: Path) -> dict[str, float]:
    """Calls for each message, one session, so that no two messages can share one."""
    rival.set_up(Task("receive"))
    rival.start()
    case = next(case for case in CASES if case.name == "receive-one")
    try:
        bench.load(rival, case, 5)
        trace = folder / "strace"
        members = [word for pid in rival.pids for member in process_tree(pid) for word in ("-p", str(member))]
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=" + ",".join(CALLS), *members],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: trace.exists())
        bench.load(rival, case, MESSAGES)
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(10)
        found = collections.Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
        return {name: count / MESSAGES for name, count in sorted(found.items())}
    finally:
        rival.stop()
