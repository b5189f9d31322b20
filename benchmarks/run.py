"""Mercury beside Postfix, on the same disk in the same run: `make bench`, or python benchmarks/run.py --help.

Runs alternate (A B A B), so that what the machine does besides falls on both; compare ratios, not rows of different
runs. What is counted, and what is not, stands in README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cases import CASES, Bench, Case, Result
from disk import Disk
from durability import count_calls
from measure import spread
from rivals import Mercury, Postfix, Rival


def main() -> int:
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `finally` and `with`
    chosen = [case for case in CASES if not arguments.cases or case.name in arguments.cases]
    with alone(), tempfile.TemporaryDirectory(prefix="mercury-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        bench = Bench(folder)
        with Disk(folder) as disk:
            print(f"{os.cpu_count()} CPUs, load and servers on the same; spools on {disk.words}", flush=True)
            rivals: list[Rival] = [
                Postfix(folder / "postfix", disk.path / "postfix"),
                Mercury(folder / "mercury", disk.path / "mercury", arguments.workers),
            ]
            troubles = sum(measure(bench, rivals, case, arguments.rounds, arguments.seconds) for case in chosen)
            if not arguments.cases or "durability" in arguments.cases:
                for rival in rivals:
                    calls = count_calls(bench, rival, folder)
                    print(f"durability   {rival.name:8} calls a message: {calls}", flush=True)
    return 1 if troubles else 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One measurement at a time on a machine; a second one waits."""
    with (Path(tempfile.gettempdir()) / "mercury-bench.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [case.name for case in CASES] + ["durability"]
    parser.add_argument("cases", nargs="*", metavar="CASE", help="of: " + ", ".join(names) + "; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each server in each case (5)")
    parser.add_argument("--seconds", type=float, default=180, help="no new round of a case after this time (180)")
    parser.add_argument("--workers", type=int, default=0, help="receive.workers of Mercury; default: its default")
    parser.add_argument("--folder", default="/var/tmp", help="where the image and the servers' files lie (/var/tmp)")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(names)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return arguments


def measure(bench: Bench, rivals: list[Rival], case: Case, rounds: int, seconds: float) -> int:
    """All rounds of one case, and its lines of the report; how many runs went wrong."""
    results: dict[str, list[Result]] = {rival.name: [] for rival in rivals}
    troubles = 0
    end = time.monotonic() + seconds
    for number in range(rounds):
        if number and time.monotonic() > end:
            break
        for rival in rivals:
            os.sync()
            try:
                result = bench.run(rival, case)
            except Exception as error:
                result = Result(0, 0, 0, trouble=f"{type(error).__name__}: {error}")
            if result.trouble:
                troubles += 1
                print(f"! {case.name} {rival.name}: {result.trouble}", file=sys.stderr, flush=True)
            else:
                results[rival.name].append(result)
    report(case, results)
    return troubles


def report(case: Case, results: dict[str, list[Result]]) -> None:
    print(f"\n{case.name}: {case.words}")
    for name, runs in results.items():
        if runs:
            latency = f"  p50 {spread([run.p50_ms for run in runs])} ms" if case.is_latency else ""
            print(
                f"  {name:8} {spread([run.rate for run in runs])}/s  CPU {spread([run.cpu_ms for run in runs])} ms"
                f"  {statistics.median(run.memory for run in runs):.0f} MiB{latency}  ({len(runs)} runs)"
            )
    if all(results.values()):
        print("  " + verdict(case, results["mercury"], results["postfix"]), flush=True)


def verdict(case: Case, ours: list[Result], theirs: list[Result]) -> str:
    def ratio(name: str) -> float:
        ours_median = statistics.median(getattr(run, name) for run in ours)
        theirs_median = statistics.median(getattr(run, name) for run in theirs)
        return ours_median / theirs_median if theirs_median else float("inf")

    if case.is_latency:
        return f"ratio    {ratio('p50_ms'):.2f} of Postfix's time (goal {case.goal:g}), CPU {ratio('cpu_ms'):.2f}"
    return f"ratio    {ratio('rate'):.2f} times Postfix (goal {case.goal:g}), CPU {ratio('cpu_ms'):.2f}"


if __name__ == "__main__":
    sys.exit(main())
