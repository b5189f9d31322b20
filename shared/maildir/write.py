"""Writing to a descriptor until everything is written, and asking the kernel to begin with the disk early.

Not here: when to sync, and what an error means (shared/maildir/committer.py).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence

_MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
_SYNC_FILE_RANGE_WRITE = 2


def write_pieces(descriptor: int, pieces: Sequence[bytes]) -> None:
    """All of `pieces`, in order, however little a single call takes. Raises OSError."""
    for start in range(0, len(pieces), _MOST_PIECES):
        group = pieces[start : start + _MOST_PIECES]
        missing = sum(map(len, group)) - os.writev(descriptor, group)
        if missing:
            _write_rest(descriptor, b"".join(group), missing)


def _write_rest(descriptor: int, data: bytes, missing: int) -> None:
    #  Rare (a full disk, a signal, a file system of its own mind), so copying once is no matter.
    rest = memoryview(data)[len(data) - missing :]
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _find_write_back() -> Callable[[int], None]:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return lambda descriptor: os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def start(descriptor: int) -> None:
        call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)

    return start


#  A hint: the disk may begin with this file while we go on to the next. It promises nothing, and its failure means
#  nothing, since the sync that follows reports every error there is.
start_write_back: Callable[[int], None] = _find_write_back()
