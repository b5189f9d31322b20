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


class Syncs:
    """For one thread. The kernel's side of it is made by the first `sync` and goes with `close`."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._context = ctypes.c_ulong(0)
        self._calls = _CALLS.get(os.uname().machine, (0, 0, 0, 0))
        self._is_usable = any(self._calls)

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        """What became of each: None (all that was written to it is durable), its error, or NotTried."""
        answers: list[OSError | None] = []
        for start in range(0, len(descriptors), _MOST):
            answers += self._sync(descriptors[start : start + _MOST])
        return answers

    def close(self) -> None:
        if self._context:
            self._libc.syscall(ctypes.c_long(self._calls[3]), self._context)
            self._context = ctypes.c_ulong(0)

    def _sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        answers: list[OSError | None] = [NotTried(errno.ENOSYS, "not tried")] * len(descriptors)
        if self._is_ready():
            under_way = self._submit(descriptors)
            for number in range(under_way):
                answers[number] = OSError(errno.EIO, "nobody knows whether it is durable")
            self._gather(under_way, answers)
        return answers

    def _is_ready(self) -> bool:
        if self._is_usable and not self._context:
            made = self._libc.syscall(
                ctypes.c_long(self._calls[0]), ctypes.c_long(_MOST), ctypes.byref(self._context)
            )
            self._is_usable = made == 0
        return self._is_usable

    def _submit(self, descriptors: Sequence[int]) -> int:
        """How many are on their way: the first ones. The kernel may take fewer than it was given."""
        count = len(descriptors)
        requests = ctypes.create_string_buffer(
            b"".join([_REQUEST.pack(number, 0, 0, _FSYNC, 0, each) for number, each in enumerate(descriptors)])
        )
        first = ctypes.addressof(requests)
        pointers = (ctypes.c_void_p * count)(*[first + _REQUEST.size * number for number in range(count)])
        taken = 0
        while taken < count:
            more = self._libc.syscall(
                ctypes.c_long(self._calls[1]), self._context, ctypes.c_long(count - taken),
                ctypes.byref(pointers, taken * ctypes.sizeof(ctypes.c_void_p)),
            )  # fmt: skip
            if more <= 0:
                break
            taken += more
        return taken

    def _gather(self, count: int, answers: list[OSError | None]) -> None:
        """Wait for `count` answers. Should the kernel give none, no later batch may take them for its own."""
        events = ctypes.create_string_buffer(_EVENT.size * max(count, 1))
        while count:
            got = self._libc.syscall(
                ctypes.c_long(self._calls[2]), self._context, ctypes.c_long(1), ctypes.c_long(count), events, None
            )
            if got < 0 and ctypes.get_errno() != errno.EINTR:
                self._is_usable = False
                return
            for place in range(max(got, 0)):
                number, _, result, _ = _EVENT.unpack_from(events, place * _EVENT.size)
                answers[number] = _meaning(result)
            count -= max(got, 0)


def _meaning(result: int) -> OSError | None:
    if result >= 0:
        return None
    #  Of a file that has no such call, EINVAL: fsync(2) says the same then, and says it better.
    kind = NotTried if result == -errno.EINVAL else OSError
    return kind(-result, os.strerror(-result))
