"""R-04: instant images of a disk under load, and file systems that are shut down under it: what a power cut leaves.

An image is a reflink of the loop device's backing file, which lies on Btrfs: everything that the file system had handed to the
device at that instant, and nothing of what was in memory only. At a shutdown the file system itself forgets its log.
"""

from __future__ import annotations

import fcntl
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import Flow, acknowledged, enough, token_of
from disks import disk, make, mount, need, run, unmount
from logged_site import SESSIONS
from mailsite import Site
from marking_sink import MarkingSink
from power import Findings, live_on
from process import free_port

IMAGES, IMAGES_SECONDS = {"files": 100, "syncfs": 50}, 150.0
SHUTDOWNS, SHUTDOWNS_SECONDS = 5, 60.0
SHUT_DOWN = 0x8004587D  #  EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2


class Bench:
    """A site whose spool and Maildirs are on `place`, a far end, and mail that flows to both."""

    def __init__(self, site: Site, place: Path, sync: str = "files") -> None:
        self.site, self.place, self._sessions = site, place, SESSIONS
        port = free_port("127.0.0.1")
        self.sink = MarkingSink(port, lambda token: None)
        self.sink.start()
        live_on(site, place, ("127.0.0.1", port), sync)
        self.flows: list[Flow] = []
        self.fetched: set[str] = set()

    def begin(self) -> None:
        self.site.start("sc")
        names = ("anna@hq.example", "x@elsewhere.example")
        self.flows += [Flow(self.site.port, name, self._sessions, 0.15, 9_000).start() for name in names]

    def end(self) -> None:
        for flow in self.flows:
            flow.end()
        self.sink.stop()

    def check(self, acked: set[str], place: Path, what: str) -> Findings:
        found = Findings(place)
        lost = acked - found.tokens - self.sink.tokens - self.fetched
        assert not lost, f"{what}: {len(lost)} of {len(acked)} lost: {sorted(lost)[:3]}"
        assert not found.torn, f"{what}: torn: {found.torn[:3]}"
        return found

    def fetch(self, found: Findings) -> None:
        """As a mail reader does: what an image has shown to be on the disk is taken out of the mailbox, so that the next
        image has not all the mail since the beginning in it."""
        for path in self.place.glob("mail/*/*/new/*"):
            token = token_of(path.read_bytes())
            if token in found.tokens:
                path.unlink()
                self.fetched.add(token)


@pytest.fixture
def reflinks(tmp_path: Path) -> Iterator[Path]:
    need("mkfs.btrfs", "mkfs.xfs", "mkfs.ext4")
    with disk(tmp_path, "btrfs", 1500) as place:
        yield place


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sync", IMAGES)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_images_taken_under_load(
    site: Site, reflinks: Path, tmp_path: Path, kind: str, sync: str, tell: Callable[..., None],
    left: Callable[[float], Callable[[], bool]],
) -> None:  # fmt: skip
    live, image, place, view = reflinks / "live.img", reflinks / "cut.img", tmp_path / "live", tmp_path / "view"
    make(live, kind)
    mount(live, place, kind)
    bench, chance, goes_on = Bench(site, place, sync), random.Random(4), left(IMAGES_SECONDS * IMAGES[sync] / 100)
    seen = checks = 0
    try:
        bench.begin()
        while seen < IMAGES[sync] and goes_on():
            time.sleep(chance.uniform(0.0, 0.2))
            acked = acknowledged(bench.flows)
            run("cp", "--reflink=always", live, image)
            mount(image, view, kind)
            try:
                found = bench.check(acked, view, f"image {seen}")
            finally:
                unmount(view)
            bench.fetch(found)
            seen, checks = seen + 1, checks + len(acked)
        bench.end()
        site.stop("sc")
        bench.check(acknowledged(bench.flows), place, "in the end")
    finally:
        site.kill("".join(site.daemons))
        unmount(place)
    tell(**{f"{kind}_{sync}_images": seen, f"{kind}_{sync}_checks": checks, "lost": 0, "torn": 0})
    enough(seen, IMAGES[sync], "images")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sync", ["files", "syncfs"])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_file_systems_shut_down_under_load(
    site: Site, tmp_path: Path, kind: str, sync: str, tell: Callable[..., None],
    left: Callable[[float], Callable[[], bool]],
) -> None:  # fmt: skip
    need(f"mkfs.{kind}")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    make(image, kind)
    mount(image, place, kind)
    bench, chance, goes_on = Bench(site, place, sync), random.Random(5), left(SHUTDOWNS_SECONDS)
    rounds = 0
    try:
        while rounds < SHUTDOWNS and goes_on():
            bench.begin() if not bench.flows else site.start("sc")
            time.sleep(chance.uniform(0.3, 1.2))
            _shut_down(place)
            time.sleep(0.2)  #  Nothing may be acknowledged by a disk that is gone.
            site.kill("sc")
            acked = acknowledged(bench.flows)
            unmount(place)
            mount(image, place, kind)
            bench.check(acked, place, f"shutdown {rounds}")
            rounds += 1
        bench.end()
    finally:
        site.kill("".join(site.daemons))
        unmount(place)
    taken = len(acknowledged(bench.flows))
    tell(**{f"{kind}_{sync}_shutdowns": rounds, f"{kind}_{sync}_acknowledged": taken, "lost": 0, "torn": 0})
    enough(rounds, SHUTDOWNS, "shutdowns")


def _shut_down(place: Path) -> None:
    with (place / "spool" / "ids").open("rb") as file:
        fcntl.ioctl(file, SHUT_DOWN, struct.pack("I", NO_LOG_FLUSH))
