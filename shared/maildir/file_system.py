"""A file system that is synced as a whole: one syncfs(2) in place of a sync for each file of a batch.

Here: which file systems and kernels tell of every write that failed, on what mount a folder lies, and the call.
Not here: when it pays, and what is done after an error (shared/maildir/committer.py).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from shared.mail.record import dataclass

#  From 5.8 on syncfs tells each open descriptor once of a write that failed since it was opened; before, it said
#  nothing. What fails in the journal it tells from 5.17 on: until then the sync of the folder, which always follows,
#  does so on these file systems. Over a network, or in a process of its own (FUSE), the call need not reach the disk.
OLDEST_KERNEL = (5, 8)
KINDS = ("ext4", "xfs", "btrfs")
MOUNTS = Path("/proc/self/mountinfo")


class CannotSyncWhole(Exception):
    """One line: why files have to be synced one by one, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder lies: `kind` of file system, and its path counted from the file system's own top."""

    kind: str
    within: str

    @property
    def is_alone(self) -> bool:
        """Whether the file system seems to be there for this folder: it is its top, or stands right below it."""
        return len(Path(self.within).parts) <= 2


def find_place(folder: str, mountinfo: str) -> Place:
    """By proc_pid_mountinfo(5): of the mounts above `folder`, which has no link in it, the lowest, the last."""
    best, place = -1, Place("", "/")
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        top, point = (_plain(word) for word in left.split()[3:5])
        below = folder.removeprefix(point.rstrip("/"))
        if len(point) >= best and (not below or below[0] == "/") and folder.startswith(point):
            best, place = len(point), Place(right.split()[0], (top.rstrip("/") + below) or "/")
    return place


def _plain(word: str) -> str:
    """Blanks and the like are written as octal numbers there."""
    head, *others = word.split("\\")
    return head + "".join(chr(int(other[:3], 8)) + other[3:] for other in others)


class FileSystem:
    """The one that `root` is on. Held open, so that each error is told once: to whom syncs next."""

    def __init__(self, root: str) -> None:
        """Raises CannotSyncWhole, or OSError."""
        self.place = find_place(os.path.realpath(root), MOUNTS.read_text())
        _prove_able(root, self.place)
        self._open(root)

    def _open(self, root: str) -> None:
        self._below = f"{root}/"
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def has(self, folder: str) -> bool:
        return folder.startswith(self._below)

    def sync(self) -> None:
        """All that was written there by now, by anybody, is durable. Raises OSError, also for files of others."""
        if self._libc.syncfs(self._descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        os.close(self._descriptor)


def _prove_able(root: str, place: Place) -> None:
    system = os.uname()
    numbers = system.release.split("-")[0].split(".")[:2]
    is_new = system.sysname == "Linux" and tuple(int(number) for number in numbers) >= OLDEST_KERNEL
    if not is_new:
        raise CannotSyncWhole(
            f"sync {root} by syncfs: {system.sysname} {system.release} does not tell of writes that failed, "
            "as Linux does from 5.8 on; set queue.sync to files"
        )
    if place.kind not in KINDS:
        raise CannotSyncWhole(
            f"sync {root} by syncfs: it is on {place.kind or 'an unknown file system'}, where that need not "
            "reach the disk; put it on ext4, XFS or Btrfs, or set queue.sync to files"
        )
