"""Queue ids: short, sayable on the telephone, never given out twice.

Eight digits of Crockford's base 32 with a dash in the middle. Numbers are reserved in blocks, durably, so that
several processes and hosts on one spool share the counter and a crash only skips some. Whose a block is, is decided
by who makes the file `ids.NUMBER`: a shared file system shows what was written a second ago, lock or no lock, but of
two who make one name it lets one succeed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from shared.maildir.tree import CREATE, forget_file, listed, sync_folder

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_LOOK_ALIKE = str.maketrans("OIL", "011")
_CAPACITY = 32**8
#  Of the file of the counter.
_LENGTH = 21
#  The files of older blocks go: nobody's view of the counter is so many blocks late.
_BLOCKS_KEPT = 64
#  2026-01-01T00:00:00Z. A millisecond a number since then: nobody takes in more than a thousand messages a second for
#  years on end, so a lost counter that starts from the clock is ahead of every id ever given out.
_EPOCH = 1767225600


class QueueIds:
    """The ids of one process. `root` is the spool."""

    def __init__(self, root: Path, block: int = 4096, clock: Callable[[], float] = time.time) -> None:
        self._path = root / "ids"
        self._block = block
        self._clock = clock
        self._next = 0
        self._end = 0
        self._lock = Lock()

    def next(self) -> str:
        """A new id. Raises OSError when a block has to be reserved and cannot be."""
        with self._lock:
            if self._next == self._end:
                self._next = self._reserve()
                self._end = self._next + self._block
            number = self._next
            self._next += 1
        return render_id(number)

    def _reserve(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            stored = os.pread(descriptor, 64, 0)
            start = self._claim_block(max(_parse_counter(stored), number_of_moment(self._clock())))
            if len(stored) > _LENGTH:
                #  Damaged: what stands behind our digits would make them none for the next who reads them.
                os.ftruncate(descriptor, _LENGTH)
            #  Of fixed length, so that it is written over in one piece.
            os.pwrite(descriptor, b"%020d\n" % (start + self._block), 0)
            os.fsync(descriptor)
            if not stored:
                sync_folder(self._path.parent)
            self._forget_blocks(start - _BLOCKS_KEPT * self._block)
            return start
        finally:
            os.close(descriptor)

    def _claim_block(self, least: int) -> int:
        """The first free block at or above `least`; blocks begin at multiples of their size, so none overlap."""
        start = -(-least // self._block) * self._block
        while True:
            try:
                os.close(os.open(f"{self._path}.{start}", CREATE, 0o660))
                return start
            except FileExistsError:
                start += self._block

    def _forget_blocks(self, before: int) -> None:
        for entry in listed(str(self._path.parent)):
            number = block_of(entry.name)
            if number is not None and number < before:
                forget_file(entry.path)


def block_of(name: str) -> int | None:
    """The first number of the block that a file of this name stands for; None when it is no such file."""
    word, dot, number = name.partition(".")
    return int(number) if word == "ids" and dot and number.isascii() and number.isdecimal() else None


def _parse_counter(stored: bytes) -> int:
    text = stored.strip()
    number = int(text) if text.isdigit() else 0
    return number if number < _CAPACITY else 0


def read_counter(path: str) -> int | None:
    """The number in the file of the counter; None when it holds none that can be. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _parse_counter(os.pread(descriptor, 64, 0)) or None
    finally:
        os.close(descriptor)


def number_of_moment(at: float) -> int:
    """The least number that is given out at `at`, Unix time."""
    return max(int((at - _EPOCH) * 1000), 0)


def number_of(id: str) -> int:
    """The number behind a queue id, -1 for what is none."""
    digits = id.replace("-", "")
    if len(digits) != 8 or any(digit not in _DIGITS for digit in digits):
        return -1
    number = 0
    for digit in digits:
        number = number * 32 + _DIGITS.index(digit)
    return number


def render_id(number: int) -> str:
    """`number` as it is written: 7Q2M-K4ZC."""
    if not 0 <= number < _CAPACITY:
        raise ValueError(f"{number} does not fit into a queue id")
    high, low = number >> 20, number & 0xFFFFF
    return f"{_PAIRS[high >> 10]}{_PAIRS[high & 1023]}-{_PAIRS[low >> 10]}{_PAIRS[low & 1023]}"


def normalize_id(text: str) -> str:
    """`text` as somebody types it, in the one form we use: small letters, a missing dash, O for 0 and I or L for 1
    are understood. Raises ValueError."""
    digits = text.strip().replace("-", "").upper().translate(_LOOK_ALIKE)
    if len(digits) != 8 or any(digit not in _DIGITS for digit in digits):
        raise ValueError(f"{text!r} is no queue id; they look like 7Q2M-K4ZC")
    return f"{digits[:4]}-{digits[4:]}"
