"""Noticing new entries: by inotify at once where the kernel can tell, by a scan every so often everywhere.

The scan is no fallback but always there: on a network file system inotify sees only what this host does, and the
kernel's queue of notices may overflow. Not here: what is done about an entry.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.filepath import FilePath

_MOVED_TO = 0x80  #  IN_MOVED_TO of inotify(7): every way into new/ is a rename.


class Watch:
    """Watches `folder`, the new/ of a lane.

    `appeared(name, due)` is called for each entry that comes; entries given back by ourselves come too. `rescan()` is
    called every `every` seconds and shall not block.
    """

    def __init__(
        self,
        reactor: Any,
        folder: str,
        appeared: Callable[[str, float], object],
        rescan: Callable[[], object],
        every: float = 30.0,
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._appeared = appeared
        self._every = every
        self._inotify: Any = None
        self._rescans = LoopingCall(rescan)
        self._rescans.clock = IReactorTime(reactor)

    @property
    def is_prompt(self) -> bool:
        """Whether the kernel tells us; else entries are seen by the scan only."""
        return self._inotify is not None

    def start(self) -> None:
        """Begin. The first rescan is at once, behind the watch, so that nothing falls between the two."""
        self._inotify = self._begin_inotify()
        self._rescans.start(self._every, now=True)

    def stop(self) -> None:
        if self._rescans.running:
            self._rescans.stop()
        if self._inotify is not None:
            inotify, self._inotify = self._inotify, None
            inotify.loseConnection()

    def _begin_inotify(self) -> Any:
        try:
            #  Here and not above: the import itself fails where the C library cannot be found by its name.
            from twisted.internet import inotify as kernel

            inotify: Any = kernel.INotify(self._reactor)  # type: ignore[no-untyped-call]
        except (ImportError, OSError):
            return None  #  OSError: the account has used up its inotify instances.
        inotify.startReading()
        try:
            inotify.watch(FilePath(self._folder.encode()), mask=_MOVED_TO, callbacks=[self._notice])
        except OSError:
            inotify.loseConnection()
            return None
        return inotify

    def _notice(self, watch: object, path: FilePath[bytes], mask: int) -> None:
        if not mask & _MOVED_TO:
            return  #  The folder itself went away or was unmounted.
        name = os.fsdecode(path.basename())
        if name.startswith("."):
            return
        try:
            due = os.lstat(path.path).st_mtime
        except OSError:
            return  #  Claimed already.
        self._appeared(name, due)
