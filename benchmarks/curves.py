"""How cost grows: `make curves`, or python benchmarks/curves.py --help.

Messages a second, CPU and memory against sessions, message size, recipients, queue length and workers. Every curve is
judged, too: where more of something makes a unit of work much dearer, the row is marked, and the command fails. What
a unit is, the curve says: a message, a MiB, a recipient, an entry.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cases import Bench, Case, Result
from disk import Disk
from picture import Curve, Panel, panels
from rivals import Mercury
from run import alone

#  A unit of work may cost so many times what it cost at the cheapest point before; the rest is the machine's.
DEARER = 1.6
#  From here on a run takes minutes, and is measured once.
LONG_QUEUE = 100_000


@dataclass(frozen=True)
class Growth:
    """`cases` by their place on the axis; `units` is how many units of work the case has, by its place."""

    name: str
    axis: str
    unit: str
    cases: dict[int, Case]
    units: Callable[[int], float]
    workers: bool = False


@dataclass(frozen=True)
class Point:
    place: int
    result: Result
    units: float
    messages: int

    @property
    def cpu_of_a_unit(self) -> float:
        """Milliseconds."""
        return self.result.cpu_ms * self.messages / self.units


def _receive(sessions: int, messages: int, octets: int = 4096, recipients: int = 1) -> Case:
    return Case("receive", "", "receive", sessions, messages, octets, a_connection=0, recipients=recipients)


def growths(is_short: bool) -> Iterator[Growth]:
    """All curves; `is_short` leaves out what takes more than a minute."""
    yield Growth(
        "sessions", "sessions at once", "message",
        {count: _receive(count, max(1500, 4 * count)) for count in (1, 3, 10, 30, 100, 300, 1000)},
        lambda sessions: max(1500, 4 * sessions),
    )  # fmt: skip
    sizes = {1: 2000, 4: 2000, 16: 1500, 64: 600, 256: 200, 1024: 60, 4096: 20, 16384: 8, 51200: 4}
    yield Growth(
        "size", "KiB of a message", "MiB",
        {size: _receive(4, count, size << 10) for size, count in sizes.items()},
        #  A message costs something whatever its size: it counts as 64 KiB.
        lambda size: sizes[size] * (size / 1024 + 1 / 16),
    )  # fmt: skip
    crowds = {1: 1000, 3: 800, 10: 400, 30: 200, 100: 80, 300: 30, 1000: 10}
    yield Growth(
        "recipients", "recipients of a message", "recipient",
        {crowd: _receive(4, count, recipients=crowd) for crowd, count in crowds.items()},
        #  And so it does whoever gets it: as much as four recipients.
        lambda crowd: crowds[crowd] * (crowd + 4),
    )  # fmt: skip
    queues = (0, 1000, 10_000, 100_000) if is_short else (0, 1000, 10_000, 100_000, 1_000_000)
    yield Growth(
        "queue", "entries that wait", "entry",
        {length: Case("queue", "", "queue", 1, length, 1000, is_latency=True) for length in queues},
        #  A start costs as much as 20,000 entries.
        lambda length: length + 20_000,
    )  # fmt: skip
    yield Growth(
        "workers", "workers", "message",
        {workers: _receive(100, 4000) for workers in (1, 2)},
        lambda workers: 4000,
        workers=True,
    )  # fmt: skip


def measure(bench: Bench, folder: Path, disk: Disk, growth: Growth, rounds: int) -> list[Point]:
    points = []
    for place, case in growth.cases.items():
        server = Mercury(folder / "mercury", disk.path / "mercury", place if growth.workers else 0)
        results = []
        for _ in range(1 if case.kind == "queue" and place >= LONG_QUEUE else rounds):
            result = bench.run(server, case)
            if result.trouble:
                raise SystemExit(f"{growth.name} {place}: {result.trouble}")
            results.append(result)
        #  The quickest: what disturbs on a shared machine only ever adds.
        best = min(results, key=lambda result: result.cpu_ms)
        points.append(Point(place, best, growth.units(place), max(1, case.messages)))
    return points


def bends(points: Sequence[Point]) -> list[int]:
    """Places where a unit is much dearer than at the cheapest place before."""
    found, cheapest = [], float("inf")
    for point in points:
        if point.cpu_of_a_unit > DEARER * cheapest:
            found.append(point.place)
        cheapest = min(cheapest, point.cpu_of_a_unit)
    return found


def show(growth: Growth, points: Sequence[Point]) -> list[int]:
    wrong = bends(points)
    print(f"\n{growth.name}   {'messages/s':>12} {'CPU ms a message':>17} {'CPU µs a ' + growth.unit:>18} {'MiB':>6}")
    for point in points:
        rate = f"{point.result.p50_ms:.0f} ms" if growth.name == "queue" else f"{point.result.rate:.1f}"
        mark = "  <- dearer than before" if point.place in wrong else ""
        print(
            f"{point.place:>9,}  {rate:>12} {point.result.cpu_ms:>16.3f} {point.cpu_of_a_unit * 1e3:>18.1f}"
            f" {point.result.memory:>6.0f}{mark}",
            flush=True,
        )
    return wrong


def drawn(growth: Growth, points: Sequence[Point]) -> list[Panel]:
    """What is seen of it: speed, and memory where that may grow."""
    if growth.name == "queue":
        speed = [(point.place, point.result.p50_ms / 1e3) for point in points]
        first = Panel("from a cold start to the first attempt", growth.axis, "s", [Curve("", speed)])
    elif growth.name == "size":
        speed = [(point.place, point.result.rate * point.place / 1024) for point in points]
        first = Panel("received", growth.axis, "MiB/s", [Curve("", speed)])
    elif growth.name == "recipients":
        speed = [(point.place, point.result.rate * point.place) for point in points]
        first = Panel("received", growth.axis, "recipients/s", [Curve("", speed)])
    else:
        first = Panel("received", growth.axis, "messages/s", [Curve("", [(p.place, p.result.rate) for p in points])])
    memory = Panel("memory", growth.axis, "MiB (PSS)", [Curve("", [(p.place, p.result.memory) for p in points])])
    unit = [(p.place, p.cpu_of_a_unit * 1e3) for p in points]
    return [first, Panel(f"CPU for a {growth.unit}", growth.axis, "µs", [Curve("", unit)]), memory]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("curves", nargs="*", metavar="CURVE", help="of: " + ", ".join(g.name for g in growths(True)))
    parser.add_argument("--short", action="store_true", help="without the million entries, which take five minutes")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each point; the cheapest counts (2)")
    parser.add_argument("--folder", default="/var/tmp", help="where the image lies (/var/tmp)")
    parser.add_argument("--picture", type=Path, help="write the curves as SVG to this file")
    parser.add_argument("--json", type=Path, help="and the figures as JSON to this one")
    arguments = parser.parse_args()
    seen: list[Panel] = []
    figures: dict[str, list[dict[str, float]]] = {}
    wrong: list[str] = []
    began = time.monotonic()
    with alone(), tempfile.TemporaryDirectory(prefix="mercury-curves-", dir=arguments.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        room = (3 << 30, 600_000) if arguments.short else (12 << 30, 2_500_000)
        with Disk(folder, *room) as disk:
            bench = Bench(folder, disk.forget)
            print(f"{disk.words}", flush=True)
            for growth in growths(arguments.short):
                if arguments.curves and growth.name not in arguments.curves:
                    continue
                points = measure(bench, folder, disk, growth, arguments.rounds)
                wrong += [f"{growth.name} {place}" for place in show(growth, points)]
                seen += drawn(growth, points)
                figures[growth.name] = [
                    {"at": p.place, "rate": p.result.rate, "cpu_ms": p.result.cpu_ms, "memory": p.result.memory,
                     "ms": p.result.p50_ms}
                    for p in points
                ]  # fmt: skip
    print(
        f"\n{time.monotonic() - began:.0f} s; " + (f"dearer than before: {', '.join(wrong)}" if wrong else "all well")
    )
    if arguments.picture:
        arguments.picture.write_text(panels("How the cost of Mercury grows", seen))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
