"""What the history costs while mail is received: python benchmarks/history_cost.py [--help]

Mercury with `history: {enabled: true}` beside itself without, each pair in turn and in changing order, so that what
the machine does besides falls on both. The load lasts long enough for the keeper (shared/history) to file while mail
comes in. CPU is counted until the load ends, and until the last line is filed, so that what is put off is not left
out. The records (`events/*.jsonl`) are written in both.

The exit code is 1 when the median of the pairs is more than five hundredths slower with it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cases import Bench, Case, until
from disk import Disk
from measure import cpu_seconds, spread
from rivals import Mercury, Task
from run import alone

from shared.history.segment import Reading, segments

#  Of the rate.
MOST = 0.05
#  A process that takes less of a CPU than this for a second has nothing left to do.
_IDLE = 0.02
_LONGEST_FILING = 120.0
_RECORDS = "mercury-s"


class Keeping(Mercury):
    """Mercury, with the history or without."""

    def __init__(self, folder: Path, spool: Path, is_kept: bool) -> None:
        super().__init__(folder, spool)
        self.is_kept = is_kept

    def set_up(self, task: Task) -> None:
        super().set_up(task)
        with (self.folder / "mercury.yaml").open("a") as file:
            file.write(f"history: {{enabled: {str(self.is_kept).lower()}}}\n")

    def is_level(self) -> bool:
        """Whether the history has all that is in the records."""
        files = [file for file in segments(self.folder / "state/history") if file.daemon == _RECORDS]
        if not files:
            return False
        records = (self.folder / f"state/events/{_RECORDS}.jsonl").stat()
        with Reading(files[-1].path) as reading:
            return reading.positions().get(_RECORDS) == (records.st_ino, records.st_size)


@dataclass(frozen=True)
class Run:
    """Messages a second; CPU milliseconds for one while they came, and until the history was level; the seconds
    between."""

    rate: float
    cpu_ms: float
    whole_ms: float
    behind: float


def run(bench: Bench, rival: Keeping, case: Case) -> Run:
    rival.set_up(bench.task(case))
    try:
        rival.start()
        bench.load(rival, case, messages=2 * case.sessions)
        settle(rival)
        before, queued = _cpu(rival), rival.queued()
        said = bench.load(rival, case)
        loaded, ended = _cpu(rival) - before, time.monotonic()
        if until(rival.is_level, _LONGEST_FILING if rival.is_kept else 0) != rival.is_kept:
            raise SystemExit("the history is not what it was to be")
        behind = time.monotonic() - ended
        settle(rival)
        whole = _cpu(rival) - before
        kept = rival.queued() - queued
        if said["first_error"] or kept != case.messages:
            raise SystemExit(f"{kept} of {case.messages} queued: {said['first_error']}")
        each = 1e3 / case.messages
        return Run(case.messages / float(str(said["seconds"])), loaded * each, whole * each, behind)
    finally:
        rival.stop()


def _cpu(rival: Keeping) -> float:
    return sum(cpu_seconds(pid) for pid in rival.pids)


def settle(rival: Keeping) -> None:
    """Until nothing is left to do."""

    def is_idle() -> bool:
        before = _cpu(rival)
        time.sleep(1.5)
        return _cpu(rival) - before < 1.5 * _IDLE

    if not until(is_idle, _LONGEST_FILING):
        raise SystemExit("it does not come to rest: is the machine busy?")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--messages", type=int, default=20_000, help="a run; so many that it lasts ten seconds")
    parser.add_argument("--sessions", type=int, default=20, help="connections, which are kept")
    parser.add_argument("--folder", default="/var/tmp", help="where the image and the state lie")
    given = parser.parse_args()
    case = Case("receive-kept", "", "receive", given.sessions, given.messages, a_connection=0)
    with (
        alone(),
        tempfile.TemporaryDirectory(prefix="mercury-history-", dir=given.folder) as name,
        Disk(Path(name)) as disk,
    ):
        bench = Bench(Path(name), disk.forget)
        rivals = [Keeping(Path(name) / "mercury", disk.path / "mercury", is_kept) for is_kept in (False, True)]
        print(f"{os.cpu_count()} CPUs; {disk.words}; {given.messages} messages a run, 4 KiB", flush=True)
        print(f"pair  {'without':>22}  {'with':>22}   rate    CPU   all CPU   level after", flush=True)
        pairs = [pair(bench, rivals, case, number) for number in range(given.pairs)]
    rates = [kept.rate / bare.rate for bare, kept in pairs]
    cpu = [kept.cpu_ms / bare.cpu_ms for bare, kept in pairs]
    whole = [kept.whole_ms / bare.whole_ms for bare, kept in pairs]
    print("\nwith, of without, as the median of the pairs:")
    print(f"rate {spread(rates)}, CPU a message {spread(cpu)}, until all is filed {spread(whole)}")
    filing = [1e3 * (kept.whole_ms - kept.cpu_ms - bare.whole_ms + bare.cpu_ms) for bare, kept in pairs]
    print(
        f"after the load: level in {spread([kept.behind for _, kept in pairs])} s, for {spread(filing)} µs a message"
    )
    rate = statistics.median(rates)
    print(f"the history costs {max(0.0, 1 - rate):.1%} of the throughput; wanted: under {MOST:.0%}")
    return 0 if rate >= 1 - MOST else 1


def pair(bench: Bench, rivals: list[Keeping], case: Case, number: int) -> tuple[Run, Run]:
    """Without and with; every second pair begins with the other."""
    runs: dict[bool, Run] = {}
    for rival in rivals if number % 2 == 0 else rivals[::-1]:
        os.sync()
        runs[rival.is_kept] = run(bench, rival, case)
    bare, kept = runs[False], runs[True]
    words = "  ".join(f"{one.rate:>10.0f}/s {one.cpu_ms:>6.3f} ms" for one in (bare, kept))
    ratios = (kept.rate / bare.rate, kept.cpu_ms / bare.cpu_ms, kept.whole_ms / bare.whole_ms)
    print(f"{number + 1:>4}  {words}  {'  '.join(f'{ratio:>5.2f}' for ratio in ratios)}  {kept.behind:>8.1f} s")
    sys.stdout.flush()
    return bare, kept


if __name__ == "__main__":
    sys.exit(main())
