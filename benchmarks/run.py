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
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cases import CASES, Bench, Case, Result
from disk import Disk
from durability import count_calls, is_synced
from report import Row, picture, table
from rivals import Mercury, Postfix, Rival


def main() -> int:
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `finally` and `with`
    chosen = [case for case in CASES if not arguments.cases or case.name in arguments.cases]
    with alone(), tempfile.TemporaryDirectory(prefix="mercury-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        rows, troubles = measure_all(folder, Disk(folder), [case for case in chosen if not case.is_vast], arguments)
        if vast := [case for case in chosen if case.is_vast]:
            more, more_troubles = measure_all(folder, Disk(folder, 12 << 30, 2_500_000), vast, arguments)
            rows, troubles = rows + more, troubles + more_troubles
    if rows:
        print(f"\n{table(rows)}", flush=True)
    if arguments.picture:
        arguments.picture.write_text(picture(rows))
    return 1 if troubles else 0


def measure_all(
    folder: Path, disk: Disk, chosen: Sequence[Case], arguments: argparse.Namespace
) -> tuple[list[Row], int]:
    """These cases on this disk, and how many runs went wrong; durability with those that any disk can hold."""
    has_durability = not any(case.is_vast for case in chosen) and (
        not arguments.cases or "durability" in arguments.cases
    )
    if not chosen and not has_durability:
        return [], 0
    with disk:
        bench = Bench(folder, disk.forget)
        print(f"\n{os.cpu_count()} CPUs, load and servers on the same; spools on {disk.words}", flush=True)
        rivals: list[Rival] = [
            Postfix(folder / "postfix", disk.path / "postfix"),
            Mercury(folder / "mercury", disk.path / "mercury", arguments.workers),
        ]
        measured = [measure(bench, rivals, case, arguments.rounds, arguments.seconds) for case in chosen]
        troubles = sum(troubles for _, troubles in measured)
        if has_durability:
            troubles += show_durability(bench, rivals, folder)
    return [row for row, _ in measured], troubles


def show_durability(bench: Bench, rivals: list[Rival], folder: Path) -> int:
    """How many of them say 250 before the message is on the disk."""
    forgetful = 0
    print("\ndurability: system calls for each received message, by strace")
    for rival in rivals:
        calls = count_calls(bench, rival, folder)
        is_durable = is_synced(calls)
        forgetful += not is_durable
        print(f"  {rival.name:8} {'synced' if is_durable else 'NOT SYNCED'} before its 250: {calls}", flush=True)
    return forgetful


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
    parser.add_argument("--seconds", type=float, default=100, help="no new round of a case after this time (100)")
    parser.add_argument("--workers", type=int, default=0, help="receive.workers of Mercury; default: its default")
    parser.add_argument("--folder", default="/var/tmp", help="where the image and the servers' files lie (/var/tmp)")
    parser.add_argument("--picture", type=Path, help="write the ratios as SVG to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(names)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return arguments


def measure(bench: Bench, rivals: list[Rival], case: Case, rounds: int, seconds: float) -> tuple[Row, int]:
    """All rounds of one case, its lines said; and how many runs went wrong."""
    results: dict[str, list[Result]] = {rival.name: [] for rival in rivals}
    troubles = 0
    end = time.monotonic() + seconds
    for number in range(min(rounds, case.rounds)):
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
    row = Row(case, results)
    print("\n".join(row.lines()), flush=True)
    return row, troubles


if __name__ == "__main__":
    sys.exit(main())
