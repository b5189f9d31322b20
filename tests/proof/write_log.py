"""A disk that remembers in which order it was written to: what dm-log-writes is in the kernel, in user space.

    python write_log.py MOUNTPOINT OCTETS LOG

A FUSE file system with the files `disk`, to put a loop device on, and `mark`, to put marks into the log. The loop driver
makes a write of each request of the file system above it, and a sync of each flush of the device's cache. The log has a
record for each: W offset length data, F, or M and the mark. Here also: reading the log, and the states of the disk that a
power cut at some moment may have left.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<cQI")


class Record(NamedTuple):
    """`kind` is W, F or M."""

    kind: str
    offset: int
    data: bytes


def read_log(path: Path) -> list[Record]:
    log, at, records = path.read_bytes(), 0, []
    while at + RECORD.size <= len(log):
        kind, offset, length = RECORD.unpack_from(log, at)
        at += RECORD.size
        records.append(Record(kind.decode(), offset, log[at : at + length]))
        at += length
    return records


def states(
    records: list[Record], base: Path, size: int, count: int, chance: random.Random
) -> Iterator[tuple[int, list[Record]]]:
    """`count` moments after the first mark, each as the number of records before it and those writes that had reached no
    flush and yet the disk: each with an even chance. `base` is then the disk at the last flush, and grows with them.
    """
    first = next(number for number, record in enumerate(records) if record.kind == "M")
    moments = sorted(chance.randrange(first, len(records)) for _ in range(count))
    done, pending = 0, []
    with base.open("wb") as disk:
        disk.truncate(size)
        for moment in moments:
            for record in records[done:moment]:
                if record.kind == "W":
                    pending.append(record)
                elif record.kind == "F":
                    write(disk.fileno(), pending)
                    pending = []
            done = moment
            yield moment, [record for record in pending if chance.random() < 0.5]


def write(descriptor: int, records: list[Record]) -> None:
    for record in records:
        os.pwrite(descriptor, record.data, record.offset)


def serve(mountpoint: str, size: int, log: str) -> None:
    import mfusepy

    class Disk(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self._disk = bytearray(size)
            self._log = open(log, "wb", buffering=0)  # noqa: SIM115
            self._lock = threading.Lock()

        def _keep(self, kind: bytes, offset: int, data: bytes = b"") -> None:
            self._log.write(RECORD.pack(kind, offset, len(data)) + data)

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
            if path in ("/disk", "/mark"):
                return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": size if path == "/disk" else 0}
            raise mfusepy.FuseOSError(errno.ENOENT)

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", "disk", "mark"]

        def open(self, path: str, flags: int) -> int:
            return 0

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            return 0

        def read(self, path: str, octets: int, offset: int, fh: int) -> bytes:
            return bytes(self._disk[offset : offset + octets]) if path == "/disk" else b""

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            with self._lock:
                if path == "/mark":
                    self._keep(b"M", 0, data)
                else:
                    self._disk[offset : offset + len(data)] = data
                    self._keep(b"W", offset, data)
            return len(data)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            with self._lock:
                if path == "/disk":
                    self._keep(b"F", 0)
            return 0

        def flush(self, path: str, fh: int) -> int:
            return 0

        def release(self, path: str, fh: int) -> int:
            return 0

    mfusepy.FUSE(Disk(), mountpoint, foreground=True, nothreads=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
