"""Small file systems on loop devices, made for one test and gone with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadline import eventually

MKFS = {
    #  Nothing is left to be written later, and no room is kept for root, as whom the daemons may run here.
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
#  XFS makes none below 300 MiB.
MIB = {"ext4": 96, "xfs": 320}


def need(*programs: str) -> None:
    """Skip, with the reason, what cannot be shown here."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount file systems")
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            pytest.skip(f"{program} is not installed: tests/peers.sh fetches it")
    if not Path("/dev/loop-control").exists():
        pytest.skip("there are no loop devices here")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
    return done.stdout.strip()


def mount(image: Path, place: Path, kind: str = "ext4", *options: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    #  Copies of an XFS have its UUID.
    words = ["loop", *options, *(["nouuid"] if kind == "xfs" else [])]
    run("mount", "-t", kind, "-o", ",".join(words), image, place)


def unmount(place: Path) -> None:
    """Returns when the loop device is free, too: the next mount of the same image would otherwise get it again, with what
    it remembers of the image as it was."""
    devices = set()
    #  A file system that was shut down answers nothing but EIO, os.path.ismount included.
    while found := [line.split()[0] for line in _mounts() if line.split()[1] == str(place)]:
        if subprocess.run(["umount", str(place)], capture_output=True).returncode == 0:
            devices.update(found)
        else:
            #  Somebody who lives longer has files open there: nobody mounts that image again.
            run("umount", "-l", place)
    for device in devices:
        eventually(lambda device=device: not _is_to_be_cleared(Path(device).name), 60, f"{device} is free")


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def _is_to_be_cleared(name: str) -> bool:
    """It has a file still, and is to give it up after the last mount."""
    try:
        return Path(f"/sys/block/{name}/loop/autoclear").read_text().strip() == "1"
    except OSError:
        return False


@contextmanager
def disk(folder: Path, kind: str = "ext4", mib: int = 0, *mkfs_options: str) -> Iterator[Path]:
    """A new file system of `mib`, mounted; where."""
    image, place = folder / f"{kind}.img", folder / f"{kind}.disk"
    make(image, kind, mib, *mkfs_options)
    mount(image, place, kind)
    try:
        yield place
    finally:
        unmount(place)
        image.unlink(missing_ok=True)


def make(image: Path, kind: str, mib: int = 0, *mkfs_options: str) -> None:
    with image.open("wb") as file:
        file.truncate((mib or MIB[kind]) << 20)
    run(*MKFS[kind], *mkfs_options, image)
