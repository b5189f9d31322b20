"""Where the time of a case goes, as text: python benchmarks/where.py relay > benchmarks/profiles/relay.txt

py-spy looks at the daemon five hundred times a second while it works; start-up is left out, and so is a thread that
waits for something to do. What remains is work, waiting for the disk, and waiting for the interpreter's lock. Compare
shares, not seconds: for counts that repeat exactly there is tests/cost.
"""

from __future__ import annotations

import argparse
import collections
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cases import CASES, MX_ADDRESSES, Bench, Case, until
from disk import Disk
from rivals import ROOT, Mercury, Rival
from run import alone

SAMPLES_A_SECOND = 500
LINES = 45
#  A thread whose innermost frame is one of these waits for something to do.
IDLE = (
    "EpollSelector.select (",
    "_worker (concurrent/futures",
    "Condition.wait (",
    "Committer._next_batch (",
    "Event.wait (",
)
#  What happens once.
ONCE = ("_find_and_load", "load_config", "SendingDaemon.__init__", "Daemon.start", "settle_down")
#  Long enough for thousands of samples.
MESSAGES = {"receive": 12000, "relay": 15000, "direct": 15000, "local": 10000}


class Profile:
    """Samples by thread: `own` in a function itself, `all` in it and what it calls."""

    def __init__(self) -> None:
        self.own: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.all: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def read(self, path: Path) -> None:
        """Folded stacks, as py-spy's format raw has them: frames from the outermost, `;` between, and a count."""
        for line in path.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            frames = [frame.replace(f"{ROOT}/", "") for frame in stack.split(";")]
            if any(frame.startswith(ONCE) for frame in frames):
                continue
            thread = frames.pop(0).partition(": ")[2].strip('"') or "MainThread"
            thread = thread.rstrip("0123456789").rstrip("_-") or thread
            frames = [_plain(frame) for frame in frames]
            if frames and not frames[-1].startswith(IDLE):
                self.own[thread][frames[-1]] += int(count)
                self.all[thread].update({frame: int(count) for frame in set(frames)})

    def lines(self) -> Iterator[str]:
        total = sum(map(sum, (counter.values() for counter in self.own.values()))) or 1
        for thread, own in sorted(self.own.items(), key=lambda item: -sum(item[1].values())):
            share = sum(own.values()) / total
            if share < 0.01:
                continue
            yield f"\n{thread}: {share:.1%} of all samples"
            yield "   own    with callees   function"
            inclusive = self.all[thread]
            for frame, count in own.most_common(LINES if share > 0.3 else LINES // 3):
                yield f"  {count / total:5.1%}   {inclusive[frame] / total:5.1%}   {frame}"
            yield "  the dearest with all that they call:"
            for frame, count in inclusive.most_common(LINES if share > 0.3 else LINES // 3):
                yield f"          {count / total:5.1%}   {frame}"


def _plain(frame: str) -> str:
    """function (file) without the line."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for mark in ("site-packages/", "lib/python3.11/"):
        path = path.rpartition(mark)[2]
    return f"{name} ({path})"


class Spy:
    """py-spy on each process of a rival, from `__enter__` to `__exit__`."""

    def __init__(self, rival: Rival, folder: Path) -> None:
        self._rival, self._folder = rival, folder
        self._spies: list[subprocess.Popen[bytes]] = []
        self.files: list[Path] = []

    def __enter__(self) -> Spy:
        for pid in self._rival.pids:
            file = self._folder / f"stacks-{pid}"
            self.files.append(file)
            self._spies.append(
                subprocess.Popen(
                    [str(Path(sys.executable).parent / "py-spy"), "record", "-f", "raw", "-t", "-r",
                     str(SAMPLES_A_SECOND), "-d", "600", "-o", str(file), "--pid", str(pid)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        for spy in self._spies:
            spy.send_signal(signal.SIGINT)
        for spy in self._spies:
            spy.wait(30)


def sample(bench: Bench, rival: Rival, case: Case, folder: Path) -> list[Profile]:
    rival.set_up(bench.task(case))
    try:
        if case.kind in ("receive", "local"):
            rival.start()
            with Spy(rival, folder) as spy:
                bench.load(rival, case)
                until(lambda: case.kind == "receive" or rival.delivered() >= case.messages)
        else:
            rival.start(may_deliver=False)
            bench.load(rival, case)
            rival.stop()
            os.sync()
            places = [f"{address}:25" for address in MX_ADDRESSES] if case.kind == "direct" else ["127.0.0.1:2600"]
            with bench.name_server(case), bench.sink(places, case.tls):
                rival.drain()
                with Spy(rival, folder) as spy:
                    until(lambda: rival.queued() == 0)
    finally:
        rival.stop()
    profiles = []
    for file in spy.files:
        profile = Profile()
        profile.read(file)
        profiles.append(profile)
    return profiles


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", choices=[case.name for case in CASES])
    parser.add_argument("--messages", type=int)
    parser.add_argument("--folder", default="/var/tmp", help="where the image lies")
    arguments = parser.parse_args()
    case = next(case for case in CASES if case.name == arguments.case)
    count = arguments.messages or (MESSAGES[case.kind] if case.octets < 100_000 else case.messages * 10)
    with alone(), tempfile.TemporaryDirectory(prefix="mercury-profile-", dir=arguments.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Disk(folder) as disk:
            rival = Mercury(folder / "mercury", disk.path / "mercury")
            profiles = sample(Bench(folder), rival, replace(case, messages=count), folder)
            print(f"{case.name}: {case.words}; {count} messages on {disk.words}, {SAMPLES_A_SECOND} samples a second")
    for profile in profiles:
        print("\n".join(profile.lines()))


if __name__ == "__main__":
    main()
