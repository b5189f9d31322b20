"""A tally: numbers that all workers of MercuryS count together, in memory that they share.

Every worker writes into a row of its own and reads the rows of all, so there are no locks, no messages and no
waiting; what a dead worker had counted goes away with its row. A row is a hash table in which a key has its place in
one bucket. Not here: what is counted (door.py).
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import time
from collections.abc import Callable
from hashlib import blake2b

#  Clients whose rates and failures are counted at once, at least; room that nobody needs costs no memory.
RATED_CLIENTS = 20_000
#  A bucket is 16 hashes, then for each its number and the second of the monotonic clock at which it ends (0: never).
_WAYS = 16
_HASHES = struct.Struct("<16Q")
_HASH = struct.Struct("<Q")
_NUMBER = struct.Struct("<iI")
_NUMBERS_AT = _HASHES.size
_BUCKET = _HASHES.size + _WAYS * _NUMBER.size
_NOTHING = bytes(_WAYS * _NUMBER.size)
#  Before the rows: how many there are, how many buckets each has, and a key that keeps clients from choosing buckets.
_HEAD = struct.Struct("<II16s")
_FIRST_ROW = 64


def make_tally(rows: int, keys: int) -> int:
    """A descriptor to be inherited; room for `keys` keys at once in each row, and for many more usually."""
    buckets = 64
    while buckets * _WAYS < 4 * keys:
        buckets *= 2
    descriptor = os.memfd_create("tally", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, _FIRST_ROW + rows * buckets * _BUCKET)
    os.pwrite(descriptor, _HEAD.pack(rows, buckets, secrets.token_bytes(16)), 0)
    return descriptor


class Tally:
    """`row` is ours to write."""

    def __init__(self, descriptor: int, row: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(descriptor, 0)
        self._clock = clock
        rows, buckets, self._secret = _HEAD.unpack_from(self._memory)
        self._mask = buckets - 1
        self._row_size = buckets * _BUCKET
        self._starts = [_FIRST_ROW + number * self._row_size for number in range(rows)]
        self._own = self._starts[row]

    def total(self, key: str) -> int:
        """Over all workers."""
        hashed, offset = self._place(key)
        memory, now = self._memory, self._clock()
        total = 0
        for start in self._starts:
            hashes = _HASHES.unpack_from(memory, start + offset)
            if hashed in hashes:
                at = start + offset + _NUMBERS_AT + hashes.index(hashed) * _NUMBER.size
                number, end = _NUMBER.unpack_from(memory, at)
                if not end or end > now:
                    total += number
        return total

    def add(self, key: str, amount: int = 1, seconds: float = 0) -> None:
        """Count `amount` more, or less. `seconds`: a number that is new now is forgotten after that time.

        A key that finds its bucket full is not counted: too few keys are refused then, never too many.
        """
        hashed, offset = self._place(key)
        memory, bucket = self._memory, self._own + offset
        hashes = _HASHES.unpack_from(memory, bucket)
        now = self._clock()
        if hashed in hashes:
            at = bucket + _NUMBERS_AT + hashes.index(hashed) * _NUMBER.size
            number, end = _NUMBER.unpack_from(memory, at)
            if end and end <= now:
                number, end = 0, self._end(now, seconds)
            _NUMBER.pack_into(memory, at, max(number + amount, 0), end or self._end(now, seconds))
            return
        if amount <= 0:
            return
        for way in range(_WAYS):
            at = bucket + _NUMBERS_AT + way * _NUMBER.size
            number, end = _NUMBER.unpack_from(memory, at)
            if number == 0 or (end and end <= now):
                #  In this order, so that a reader never finds our key with the number of the one before.
                _NUMBER.pack_into(memory, at, 0, 0)
                _HASH.pack_into(memory, bucket + way * _HASH.size, hashed)
                _NUMBER.pack_into(memory, at, amount, self._end(now, seconds))
                return

    def forget(self, key: str) -> None:
        """In every row: for what is cleared by an event, as failures are by a success."""
        hashed, offset = self._place(key)
        for start in self._starts:
            hashes = _HASHES.unpack_from(self._memory, start + offset)
            if hashed in hashes:
                at = start + offset + _NUMBERS_AT + hashes.index(hashed) * _NUMBER.size
                _NUMBER.pack_into(self._memory, at, 0, 0)

    def clear(self, row: int) -> None:
        """All that the worker of `row`, which is dead, had counted as present. What ends by time stays until then."""
        memory, start = self._memory, self._starts[row]
        for bucket in range(start, start + self._row_size, _BUCKET):
            if memory[bucket + _NUMBERS_AT : bucket + _BUCKET] == _NOTHING:
                continue
            for at in range(bucket + _NUMBERS_AT, bucket + _BUCKET, _NUMBER.size):
                number, end = _NUMBER.unpack_from(memory, at)
                if number and not end:
                    _NUMBER.pack_into(memory, at, 0, 0)

    def _place(self, key: str) -> tuple[int, int]:
        digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8, key=self._secret).digest()
        hashed = int.from_bytes(digest, "little") or 1
        return hashed, (hashed & self._mask) * _BUCKET

    @staticmethod
    def _end(now: float, seconds: float) -> int:
        return int(now + seconds) + 1 if seconds else 0
