"""Noticing new entries at once, by inotify.

Never the only way: on a network file system inotify sees only what this host does, the kernel's queue of notices may
overflow, and there may be no inotify at all. So whoever uses this also scans every SCAN_EVERY seconds
(shared/delivery).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any, Protocol

from twisted.python.filepath import FilePath

#  What another host has put there waits so long at most.
SCAN_EVERY = 30.0

_MOVED_TO = 0x80  #  IN_MOVED_TO of inotify(7): every way into new/ is a rename.
#  struct inotify_event: watch, mask, cookie, octets of the name behind it, which is filled up with zeros.
_NOTICE = struct.Struct("=iIII")
_AT_ONCE = 64 * 1024


class Watched(Protocol):
    """A lane's folder, or the pickup folder."""

    @property
    def new(self) -> str: ...


class LaneWatch:
    """Watches new/ of a lane. What this process gives back itself appears too."""

    def __init__(self, folder: Watched, reactor: Any = None) -> None:
        self._folder = folder.new
        self._reactor = reactor
        self._inotify: Any = None

    @property
    def is_prompt(self) -> bool:
        """Whether the kernel tells us; else entries are seen by a scan only."""
        return self._inotify is not None

    def start(self, found: Callable[[str], object]) -> None:
        """Call `found` with every name that appears, in the reactor's thread, until `stop`."""
        self._inotify = self._begin(found)

    def stop(self) -> None:
        if self._inotify is not None:
            inotify, self._inotify = self._inotify, None
            inotify.loseConnection()

    def _begin(self, found: Callable[[str], object]) -> Any:
        try:
            #  Here and not above: the import itself fails where the C library cannot be found by its name.
            from twisted.internet.inotify import INotify, INotifyError
        except ImportError:
            return None

        class Names(INotify):
            """One folder is watched, and only names matter: a path object for every notice is not made."""

            def doRead(self) -> None:
                _read_notices(self.fileno(), found)  # type: ignore[no-untyped-call]

        try:
            inotify: Any = Names(self._reactor)  # type: ignore[no-untyped-call]
        except INotifyError:
            return None  #  The account has used up its inotify instances.
        inotify.startReading()
        try:
            inotify.watch(FilePath(self._folder.encode()), mask=_MOVED_TO)
        except INotifyError:
            inotify.loseConnection()
            return None
        return inotify


def _read_notices(descriptor: int, found: Callable[[str], object]) -> None:
    try:
        data = os.read(descriptor, _AT_ONCE)
    except BlockingIOError:
        return
    position = 0
    while position < len(data):
        _, mask, _, size = _NOTICE.unpack_from(data, position)
        position += _NOTICE.size
        name = data[position : position + size].rstrip(b"\0")
        position += size
        #  Without it, the folder itself went away or was unmounted, or notices were lost.
        if mask & _MOVED_TO and not name.startswith(b"."):
            found(os.fsdecode(name))
