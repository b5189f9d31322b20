"""The sweep: what crashes have left behind in a lane goes away, once it is old enough (docs/spool.md).

Only files that nobody can be working on, and only regular ones; what else stands there is set aside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from shared.maildir.tree import listed
from shared.routing.lane import Lane
from shared.spool.names import split_claimed
from shared.spool.spool import Spool

#  No writer lives that long, and no attempt. The figure is qmail's.
LEFTOVER_AFTER = 36 * 3600


def sweep_lane(spool: Spool, lane: Lane, now: float, suspects: set[str]) -> int:
    """Remove leftovers of tmp/, and those trails without an entry that were among the `suspects` of the sweep before;
    how many. `suspects` are then those of this one. Raises OSError when a folder cannot be read.

    On a shared file system one look proves nothing: a name can be hidden from us for half a minute.
    """
    folder = str(spool.folder(lane))
    swept = _sweep_folder(spool, lane, f"{folder}/tmp", now, lambda name: True)
    orphans, found = _Orphans(folder), set[str]()

    def is_orphan(name: str) -> bool:
        if not orphans.has(name):
            return False
        found.add(name)
        return name in suspects

    swept += _sweep_folder(spool, lane, f"{folder}/trail", now, is_orphan)
    suspects.clear()
    suspects.update(found)
    return swept


class _Orphans:
    """Trails without an entry. Asked for old trails only, one by one: the names of a lane may be a million."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._claimed: set[str] | None = None

    def has(self, name: str) -> bool:
        new = f"{self._folder}/new/{name}"
        if os.path.lexists(new):
            return False
        if self._claimed is None:
            self._claimed = {split_claimed(entry.name)[0] for entry in listed(f"{self._folder}/cur")}
        if name in self._claimed:
            return False
        #  It may have gone to and fro between the two looks, or have been claimed since cur/ was read.
        self._claimed = {split_claimed(entry.name)[0] for entry in listed(f"{self._folder}/cur")}
        return name not in self._claimed and not os.path.lexists(new)


def _sweep_folder(spool: Spool, lane: Lane, folder: str, now: float, is_leftover: Callable[[str], bool]) -> int:
    swept = 0
    for entry in listed(folder):
        try:
            status = entry.stat(follow_symlinks=False)
            if now - status.st_mtime <= LEFTOVER_AFTER or not is_leftover(entry.name):
                continue
            if stat.S_ISREG(status.st_mode):
                os.unlink(entry.path)
                spool.report("leftover_swept", path=entry.path)
                swept += 1
            else:
                spool.set_aside(entry.path, lane, entry.name, "is no regular file")
        except OSError:
            continue  #  Gone meanwhile, or not ours to remove: the next sweep will see.
    return swept
