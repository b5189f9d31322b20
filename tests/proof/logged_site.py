"""A site on a disk that keeps its write log, and the search of the states that a power cut may have left of it."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from account import Flow, acknowledged
from deadline import eventually
from disks import MIB, MKFS, mount, run, unmount
from mailsite import Site
from marking_sink import MarkingSink
from peers import ROOT
from power import Findings, live_on
from process import Process, free_port
from write_log import Record, read_log, states, write

#  Of each flow: a crowd, as syncs are made at once from two messages on, and by one call from four on.
SESSIONS = 8
PROGRAM = Path(__file__).with_name("write_log.py")


class LoggedDisk:
    """A file system on a disk that keeps its write log; `mark` puts a word into it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.log, self.place, self.kind = folder / "write.log", folder / "disk", kind
        self._fuse = folder / "fuse"
        self._fuse.mkdir()
        self.size = MIB[kind] << 20
        command = [sys.executable, str(PROGRAM), str(self._fuse), str(self.size), str(self.log)]
        self._process = Process("write log", command, folder / "log" / "write_log.log", {"PYTHONPATH": str(ROOT)})
        self._mark = -1
        self._device = ""

    def begin(self) -> None:
        self._process.start((self._fuse / "disk").exists)
        run(*MKFS[self.kind], self._fuse / "disk")
        self._device = run("losetup", "-f", "--show", self._fuse / "disk")
        self.place.mkdir()
        run("mount", "-t", self.kind, self._device, self.place)
        self._mark = os.open(self._fuse / "mark", os.O_WRONLY)

    def mark(self, word: str) -> None:
        #  At the beginning: behind others it could cross the end of a page, and come in two pieces.
        os.pwrite(self._mark, word.encode(), 0)

    def end(self) -> None:
        if self._mark >= 0:
            os.close(self._mark)
            self._mark = -1
        unmount(self.place)
        if self._device:
            run("losetup", "-d", self._device)
            self._device = ""
        unmount(self._fuse)
        self._process.kill()


def record_load(site: Site, disk: LoggedDisk, seconds: float, sync: str) -> int:
    """Mail for mailboxes and for the smarthost, acknowledged ones marked; how many."""
    sink = MarkingSink(free_port("127.0.0.1"), lambda token: disk.mark(f"far {token}"))
    sink.start()
    disk.begin()
    live_on(site, disk.place, ("127.0.0.1", sink._controller.port), sync)
    site.start("sc")
    os.sync()
    disk.mark("begin")
    flows = [
        Flow(site.port, recipient, SESSIONS, 0.01, 9_000, lambda token: disk.mark(f"acked {token}")).start()
        for recipient in ("anna@hq.example", "x@elsewhere.example")
    ]
    time.sleep(seconds)
    for flow in flows:
        flow.end()
    disk.mark("end")
    site.stop("sc")
    sink.stop()
    return len(acknowledged(flows))


def promised(records: list[Record]) -> tuple[set[str], set[str]]:
    """Tokens that were acknowledged to a client, and those that the far end has taken."""
    words = [record.data.decode().split() for record in records if record.kind == "M"]
    acked = {word[1] for word in words if word[0] == "acked"}
    return acked, {word[1] for word in words if word[0] == "far"}


def lay_out(base: Path, image: Path, survived: list[Record]) -> None:
    run("cp", "--sparse=always", "--reflink=auto", base, image)
    with image.open("r+b") as disk:
        write(disk.fileno(), survived)


def revive(site: Site, acked: set[str], far: set[str], place: Path) -> None:
    """The daemons begin again on what is left, deliver it, and set nothing aside."""
    sink = MarkingSink(free_port("127.0.0.1"), lambda token: None)
    sink.start()
    live_on(site, place, ("127.0.0.1", sink._controller.port))
    site.start("sc")
    lanes = [place / "spool" / lane / part for lane in (".local", ".relay") for part in ("new", "cur")]
    eventually(lambda: not any(list(lane.iterdir()) for lane in lanes), 60, "an empty queue")
    site.stop("sc")
    sink.stop()
    assert not list((place / "spool" / "corrupt").iterdir())
    assert not acked - Findings(place).tokens - sink.tokens - far


def cut_at_any_moment(
    site: Site,
    disk: LoggedDisk,
    count: int,
    revived: int,
    seconds: float,
    goes_on: Callable[[], bool],
    sync: str = "files",
) -> dict[str, object]:
    """`seconds` of load, then `count` states, `revived` of which are brought to life; counts."""
    taken = record_load(site, disk, seconds, sync)
    disk.end()
    records = read_log(disk.log)
    base, image = disk.log.with_name("base.img"), disk.log.with_name("state.img")
    seen = checks = 0
    for moment, survived in states(records, base, disk.size, count, random.Random(3)):
        if not goes_on():
            break
        lay_out(base, image, survived)
        mount(image, disk.place, disk.kind)
        acked, far = promised(records[:moment])
        found = Findings(disk.place)
        lost = acked - found.tokens - far
        assert not lost, f"state {seen}: {len(lost)} of {len(acked)} lost: {sorted(lost)[:3]}"
        assert not found.torn, f"state {seen}: torn: {found.torn[:3]}"
        if seen % (count // revived) == count // revived // 2:
            revive(site, acked, far, disk.place)
        unmount(disk.place)
        seen, checks = seen + 1, checks + len(acked)
    flushes = sum(record.kind == "F" for record in records)
    return {
        "states": seen, "acknowledged": taken, "checks": checks, "flushes_per_message": round(flushes / max(1, taken), 2),
    }  # fmt: skip
