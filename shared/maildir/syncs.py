"""Many fsyncs at once: io_submit(2) takes those of a whole batch, and the kernel makes them side by side.

One after the other, each waits for a flush of the disk's cache of its own; side by side they share a few. Each
descriptor still has an answer of its own. Here: the calls, which Python's library lacks. Not here: when it pays,
and what an error means (shared/maildir/committer.py). Linux has IOCB_CMD_FSYNC since 4.18; where there is none, or
a container forbids it, whoever asks is told so and syncs one by one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

#  io_setup, io_submit, io_getevents, io_destroy.
_CALLS = {"x86_64": (206, 209, 208, 207), "aarch64": (0, 2, 4, 1)}
_MOST = 256
_FSYNC = 2
#  struct iocb of linux/aio_abi.h: data, key, flags, opcode, priority, descriptor; the rest is nothing for a sync.
_REQUEST = struct.Struct("<QIIHhI40x")
#  struct io_event: data, the request's address, result, a second result.
_EVENT = struct.Struct("<QQqq")


class NotTried(OSError):
    """This descriptor has not been synced, and nothing is known of it: sync it by itself."""


class _Ring:
    """The kernel's side of it, and the memory in which requests go there and answers come back: made once, as every
    batch would else pay for it."""

    def __init__(self, context: ctypes.c_ulong) -> None:
        self.context = context
        self.requests = ctypes.create_string_buffer(_REQUEST.size * _MOST)
        first = ctypes.addressof(self.requests)
        self.pointers = (ctypes.c_void_p * _MOST)(*[first + _REQUEST.size * number for number in range(_MOST)])
        self.events = ctypes.create_string_buffer(_EVENT.size * _MOST)


class Syncs:
    """For one thread. The kernel's side of it is made by the first `sync` and goes with `close`."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._ring: _Ring | None = None
        self._calls = _CALLS.get(os.uname().machine, (0, 0, 0, 0))
        self._is_usable = any(self._calls)

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        """What became of each: None (all that was written to it is durable), its error, or NotTried."""
        if len(descriptors) <= _MOST:
            return self._sync(descriptors)
        answers: list[OSError | None] = []
        for start in range(0, len(descriptors), _MOST):
            answers += self._sync(descriptors[start : start + _MOST])
        return answers

    def close(self) -> None:
        if self._ring is not None:
            self._libc.syscall(ctypes.c_long(self._calls[3]), self._ring.context)
            self._ring = None

    def _sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        ring = self._ready_ring()
        under_way = self._submit(ring, descriptors) if ring is not None else 0
        answers: list[OSError | None] = [None] * len(descriptors)
        for number in range(under_way, len(descriptors)):
            answers[number] = NotTried(errno.ENOSYS, "not tried")
        if ring is not None and under_way:
            self._gather(ring, under_way, answers)
        return answers

    def _ready_ring(self) -> _Ring | None:
        if self._is_usable and self._ring is None:
            context = ctypes.c_ulong(0)
            made = self._libc.syscall(ctypes.c_long(self._calls[0]), ctypes.c_long(_MOST), ctypes.byref(context))
            self._is_usable = made == 0
            if self._is_usable:
                self._ring = _Ring(context)
        return self._ring if self._is_usable else None

    def _submit(self, ring: _Ring, descriptors: Sequence[int]) -> int:
        """How many are on their way: the first ones. The kernel may take fewer than it was given."""
        count, taken = len(descriptors), 0
        requests, size = ring.requests, _REQUEST.size
        for number, descriptor in enumerate(descriptors):
            _REQUEST.pack_into(requests, number * size, number, 0, 0, _FSYNC, 0, descriptor)
        while taken < count:
            more = self._libc.syscall(
                ctypes.c_long(self._calls[1]), ring.context, ctypes.c_long(count - taken),
                ctypes.byref(ring.pointers, taken * ctypes.sizeof(ctypes.c_void_p)),
            )  # fmt: skip
            if more <= 0:
                break
            taken += more
        return taken

    def _gather(self, ring: _Ring, count: int, answers: list[OSError | None]) -> None:
        """Wait for `count` answers, all at once: this thread is not woken for each. Should the kernel give none,
        nobody knows what became of those that lack, and no later batch may take their answers for its own."""
        missing = set(range(count))
        while missing:
            got = self._libc.syscall(
                ctypes.c_long(self._calls[2]), ring.context, ctypes.c_long(len(missing)), ctypes.c_long(len(missing)),
                ring.events, None,
            )  # fmt: skip
            if got < 0 and ctypes.get_errno() != errno.EINTR:
                self._is_usable = False
                for number in missing:
                    answers[number] = OSError(errno.EIO, "nobody knows whether it is durable")
                return
            for place in range(got):
                number, _, result, _ = _EVENT.unpack_from(ring.events, place * _EVENT.size)
                missing.discard(number)
                if result < 0:
                    answers[number] = _error_of(result)


def _error_of(result: int) -> OSError:
    #  Of a file that has no such call, EINVAL: fsync(2) says the same then, and says it better.
    kind = NotTried if result == -errno.EINVAL else OSError
    return kind(-result, os.strerror(-result))
