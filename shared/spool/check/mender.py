"""What is done about damage, and how it is told: set aside, removed, made anew; nothing is ever followed or opened
for writing that stood in the way.

Without leave to repair nothing is touched, and each finding only says what is wrong. Whatever fails while mending is
part of the finding: one broken file never keeps the others from being looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from shared.mail.record import dataclass
from shared.maildir.tree import READ, listed
from shared.routing.lane import Lane
from shared.spool.owner import Owner
from shared.spool.sharing import is_shared
from shared.spool.spool import Spool

_LONGEST_ASIDE = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` is below the spool. `done` is what was done about it, empty when nothing was; `trouble` is why not."""

    path: str
    wrong: str
    done: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Mender:
    """`owner` has begun when `is_repairing`. Times are Unix seconds; `leftovers_after` is the age at which nobody can
    still be working on a file of tmp/ or on a trail without an entry. `seen` is called for each thing looked at."""

    spool: Spool
    owner: Owner
    is_repairing: bool
    now: float
    leftovers_after: float
    seen: Callable[[], object] = lambda: None

    def look_into(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """As looked_into, and said to `seen`."""
        for item in looked_into(folder):
            self.seen()
            yield item

    def find(self, path: str, wrong: str, trouble: str = "") -> Finding:
        """Something that is told and not mended."""
        return Finding(self.below(path), wrong, trouble=trouble)

    def mend(self, path: str, wrong: str, work: Callable[[], object], done: str) -> Finding:
        if not self.is_repairing:
            return self.find(path, wrong)
        try:
            work()
        except FileNotFoundError:
            return Finding(self.below(path), wrong, "it has gone meanwhile")
        except OSError as error:
            return self.find(path, wrong, f"it cannot be mended: {error.strerror or error}")
        return Finding(self.below(path), wrong, done)

    def set_aside(self, path: str, wrong: str) -> Finding:
        """Whatever it is, it is renamed into corrupt/ and not opened."""
        return self.mend(path, wrong, lambda: self._move_aside(path, wrong), "set aside in corrupt/")

    def set_entry_aside(self, lane: Lane, name: str, path: str, wrong: str) -> Finding:
        """As the daemons do it, with its trail."""

        def work() -> None:
            self.spool.set_aside(path, lane, name, wrong)
            if os.path.lexists(path):
                raise OSError(0, "it cannot be moved to corrupt/", path)

        return self.mend(path, wrong, work, "set aside in corrupt/")

    def remove(self, path: str, wrong: str) -> Finding:
        def work() -> None:
            os.unlink(path)
            self.spool.report("leftover_swept", path=path)

        return self.mend(path, wrong, work, "removed")

    def below(self, path: str) -> str:
        return os.path.relpath(path, self.spool.root)

    def _move_aside(self, path: str, wrong: str) -> None:
        label = self.below(path).strip(".").replace("/", ".")[:_LONGEST_ASIDE]
        for number in count():
            goal = f"{self.spool.corrupt}/{label}" + (f".{number}" if number else "")
            if not os.path.lexists(goal):
                break
        os.rename(path, goal)
        self.spool.report("entry_set_aside", path=goal, reason=wrong)


def looked_into(folder: str) -> Iterator[os.DirEntry[str]]:
    """What stands in `folder`; nothing when it, or the lane it is in, is a link or no folder. Raises OSError."""
    for path in (os.path.dirname(folder), folder):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return
    yield from listed(folder)


def readable_trouble(root: Path, status: os.stat_result) -> str:
    """Why the daemons cannot read this regular file; empty when they can. A spool that is shared belongs to a group
    (sharing.py), else to one account."""
    home = os.lstat(root)
    if is_shared(root):
        if status.st_gid != home.st_gid:
            return f"belongs to group {status.st_gid}, and the spool to {home.st_gid}"
        return "" if status.st_mode & stat.S_IRGRP else "may not be read by its group"
    if status.st_uid != home.st_uid:
        return f"belongs to account {status.st_uid}, and the spool to {home.st_uid}"
    return "" if status.st_mode & stat.S_IRUSR else "may not be read by its owner"


def make_readable(root: Path, path: str) -> None:
    """A regular file with no other name is given to the account of the daemons, by root or by its owner. Raises
    OSError. As root may be acting in that account's name, he is root again for this one step."""
    home, was = os.lstat(root), os.geteuid()
    if os.getuid() == 0 and was != 0:
        os.seteuid(0)
    try:
        #  The path itself is not given away: it may be replaced under us by a link to something else.
        descriptor = os.open(path, READ | os.O_PATH if os.geteuid() else READ)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise OSError(0, "it is no plain file with a single name", path)
            if readable_trouble(root, status) and os.geteuid() == 0:
                os.fchown(descriptor, home.st_uid, home.st_gid)
            os.chmod(f"/proc/self/fd/{descriptor}", 0o660 if is_shared(root) else 0o600)
        finally:
            os.close(descriptor)
    finally:
        if os.geteuid() != was:
            os.seteuid(was)
