"""Reading on in the record files of a daemon (shared/observe/sinks.py) from where one stopped, across turn-overs.

Knows files and lines, nothing of what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.observe.sinks import KEPT

CHUNK = 256 * 1024


class Position(NamedTuple):
    """The file, which may have another name by now, and how many of its octets have been read."""

    inode: int
    offset: int


def read_on(folder: Path, daemon: str, position: Position | None) -> Iterator[tuple[bytes, Position]]:
    """Whole lines, some hundreds in one piece, each with the position behind it; until the end for now.

    None, or a position in a file that is gone: from the oldest file that is kept. Raises OSError.
    """
    opened = _open_all(folder, daemon)
    try:
        for descriptor, inode, start in _parts(opened, position):
            yield from _pieces(descriptor, inode, start)
    finally:
        for descriptor, _ in opened:
            os.close(descriptor)


def lines_of(piece: bytes) -> list[str]:
    """The lines without their ends. Ours are ASCII."""
    return piece.decode("ascii", "replace").split("\n")[:-1]


def _open_all(folder: Path, daemon: str) -> list[tuple[int, os.stat_result]]:
    """The oldest first. Opened from the newest on: files that are turned over meanwhile are met twice, not missed."""
    opened: dict[int, tuple[int, os.stat_result]] = {}
    for number in range(KEPT + 1):
        name = f"{daemon}.jsonl.{number}" if number else f"{daemon}.jsonl"
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        status = os.fstat(descriptor)
        if status.st_ino in opened:
            os.close(descriptor)
        else:
            opened[status.st_ino] = (descriptor, status)
    return list(opened.values())[::-1]


def _parts(opened: list[tuple[int, os.stat_result]], position: Position | None) -> Iterator[tuple[int, int, int]]:
    """Descriptor, inode and where to begin."""
    first, offset = 0, 0
    if position is not None:
        for index, (descriptor, status) in enumerate(opened):
            if status.st_ino == position.inode and _ends_a_line(descriptor, position.offset):
                first, offset = index, position.offset
    for index in range(first, len(opened)):
        descriptor, status = opened[index]
        yield descriptor, status.st_ino, offset if index == first else 0


def _ends_a_line(descriptor: int, offset: int) -> bool:
    """Else it is another file, which has got the number of one that was removed."""
    return offset == 0 or os.pread(descriptor, 1, offset - 1) == b"\n"


def _pieces(descriptor: int, inode: int, offset: int) -> Iterator[tuple[bytes, Position]]:
    while data := os.pread(descriptor, CHUNK, offset):
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) < CHUNK:
                return  #  a line that is still being written
            offset += CHUNK  #  no line of ours is so long: foreign octets
            continue
        offset += end
        yield data[:end], Position(inode, offset)
