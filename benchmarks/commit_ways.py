"""Ways to make a batch of messages durable, beside each other: python benchmarks/commit_ways.py [--help]

    files     as we do: every file written, write-back started, each synced, all renamed, the folder synced once
    syncfs    every file written, one syncfs for the whole file system, all renamed, the folder synced once
    log       one append to a log and one fdatasync; the files beside it unsynced, a syncfs each second

What the server costs besides is not in it: this is the most that another way of committing could bring.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from disk import Disk
from run import alone

from shared.maildir.tree import sync_folder
from shared.maildir.write import start_write_back

MESSAGE = b"x" * 4500
SECONDS = 2.0
_libc = ctypes.CDLL(None, use_errno=True)


class Ways:
    """Each takes a batch of names and returns when they are durable."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        for part in ("tmp", "new"):
            (folder / part).mkdir(parents=True)
        self._place = os.open(folder, os.O_RDONLY)
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._checkpoint = time.monotonic()

    def files(self, names: list[str]) -> None:
        descriptors = [self._write(name) for name in names]
        for descriptor in descriptors if len(names) > 1 else ():
            start_write_back(descriptor)
        for descriptor in descriptors:
            os.fsync(descriptor)
            os.close(descriptor)
        self._name(names)
        sync_folder(f"{self._folder}/new")

    def syncfs(self, names: list[str]) -> None:
        for name in names:
            os.close(self._write(name))
        self._sync_all()
        self._name(names)
        sync_folder(f"{self._folder}/new")

    def log(self, names: list[str]) -> None:
        os.write(self._log, b"".join([MESSAGE] * len(names)))
        os.fdatasync(self._log)
        for name in names:
            os.close(self._write(name))
        self._name(names)
        if time.monotonic() - self._checkpoint > 1:
            self._sync_all()
            os.ftruncate(self._log, 0)
            self._checkpoint = time.monotonic()

    def _write(self, name: str) -> int:
        descriptor = os.open(f"{self._folder}/tmp/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, MESSAGE)
        return descriptor

    def _name(self, names: list[str]) -> None:
        for name in names:
            os.rename(f"{self._folder}/tmp/{name}", f"{self._folder}/new/{name}")

    def _sync_all(self) -> None:
        if _libc.syncfs(self._place):
            raise OSError(ctypes.get_errno(), "syncfs")


def measure(way: Callable[[list[str]], None], batch: int, mark: str) -> tuple[float, float]:
    """Files a second, and CPU milliseconds for each."""
    began, cpu, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() - began < SECONDS:
        way([f"{mark}.{count + number}" for number in range(batch)])
        count += batch
    return count / (time.monotonic() - began), (time.process_time() - cpu) / count * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp", help="where the image lies")
    arguments = parser.parse_args()
    with (
        alone(),
        tempfile.TemporaryDirectory(prefix="mercury-commit-", dir=arguments.folder) as name,
        Disk(Path(name)) as disk,
    ):
        ways = Ways(disk.path / "spool")
        print(f"{disk.words}; medians of {arguments.rounds}\nbatch   way       files/s   CPU ms")
        for batch in (1, 10, 45, 128):
            show(ways, batch, arguments.rounds)


def show(ways: Ways, batch: int, rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds):
        for way in (ways.files, ways.syncfs, ways.log):
            figures = measure(way, batch, f"{batch}-{number}-{way.__name__}")
            found.setdefault(way.__name__, []).append(figures)
    for key, values in found.items():
        rate, cpu = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{batch:>5}   {key:8} {rate:>8.0f} {cpu:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
