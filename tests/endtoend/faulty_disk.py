"""A file system that shows another folder, but does one thing as it should not.

    python faulty_disk.py FOLDER MOUNTPOINT FAULT-FILE

The fault is the content of the file, looked at with each call; the names are those of FAULTS. By FUSE.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import mfusepy

FAULTS = (
    "rename fails", "rename copies", "rename forgets", "fsync fails", "folders cannot be synced", "no colons", "short names",
    "own times",
)  # fmt: skip


class FaultyDisk(mfusepy.Operations):  # type: ignore[misc]
    use_ns = True

    def __init__(self, folder: str, fault: Path) -> None:
        self._folder = folder
        self._fault_file = fault

    @property
    def _fault(self) -> str:
        return self._fault_file.read_text()

    def _real(self, path: str) -> str:
        name = os.path.basename(path)
        if self._fault == "no colons" and ":" in name:
            raise mfusepy.FuseOSError(errno.EINVAL)
        #  As with eCryptfs, which makes names longer than they are told.
        if self._fault == "short names" and len(name) > 143:
            raise mfusepy.FuseOSError(errno.ENAMETOOLONG)
        return self._folder + path

    def rename(self, old: str, new: str) -> None:
        source, goal = self._real(old), self._real(new)
        match self._fault:
            case "rename fails":
                raise mfusepy.FuseOSError(errno.EXDEV)
            case "rename copies":
                shutil.copy2(source, goal)
            case "rename forgets":
                os.rename(source, goal)
                os.truncate(goal, 0)
            case _:
                os.rename(source, goal)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        if self._fault == "fsync fails":
            raise mfusepy.FuseOSError(errno.EIO)
        os.fsync(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        if self._fault == "folders cannot be synced":
            raise mfusepy.FuseOSError(errno.EINVAL)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if self._fault != "own times":
            os.utime(self._real(path), ns=times)
        return 0

    # All else as in the folder.

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._real(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
        times = {f"st_{kind}time": getattr(status, f"st_{kind}time_ns") for kind in "amc"}
        return {name: getattr(status, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._real(path))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._real(path), mode)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), flags & ~(os.O_CREAT | os.O_EXCL))

    def read(self, path: str, octets: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, octets, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path), length)

    def unlink(self, path: str) -> None:
        os.unlink(self._real(path))

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


if __name__ == "__main__":
    mfusepy.FUSE(
        FaultyDisk(sys.argv[1], Path(sys.argv[3])), sys.argv[2], foreground=True, nothreads=True, auto_unmount=True
    )
