"""The spool as a place: its folders, whether they can be used, and where damaged files are set aside.

docs/spool.md has the layout. Not here: entries (lane.py, deposit.py), owners (owner.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from shared.maildir.tree import PARTS, make_folder, make_maildir
from shared.routing.lane import Lane
from shared.spool.names import EntryName, claimed_name, safe_node
from shared.spool.promises import PromiseBroken, prove_promises
from shared.spool.sharing import folder_mode

#  One name of an event and its fields; the daemon hands its event log in.
Report = Callable[..., None]

_LONGEST_ASIDE = 200


class SpoolUnusable(Exception):
    """One line: what is wrong with the spool and what to do about it."""


def _no_report(event: str, **fields: object) -> None:
    """For callers that want no events."""


class Spool:
    """`node` is the name of this host, part of every name it makes. `report(event, **fields)` is told what was set
    aside, adopted or swept."""

    def __init__(self, root: Path, node: str, report: Report = _no_report) -> None:
        self.root = Path(os.path.abspath(root))
        self.node = safe_node(node)
        self.report = report
        self.owners = self.root / "owners"
        self.corrupt = self.root / "corrupt"

    def folder(self, lane: Lane) -> Path:
        return self.root / lane.value

    def lanes(self) -> tuple[Lane, ...]:
        return tuple(Lane)

    def free_bytes(self) -> int:
        """What an account without privileges may still write here. Raises OSError."""
        space = os.statvfs(self.root)
        return space.f_bavail * space.f_frsize

    def prepare(self) -> None:
        """Make what is missing and prove that mail can be kept here. Raises SpoolUnusable."""
        with self._explained(
            "cannot make its folders", "let the parent folder be writable, or make it for the account"
        ):
            make_folder(self.root)
            #  The bit of the group is inherited; a sandbox forbids to set it.
            mode = folder_mode(self.root)
            for folder in self._folders():
                make_folder(folder, mode & 0o777)
            for lane in Lane:
                make_maildir(self.folder(lane), mode & 0o777)
        with self._explained(
            f"cannot set the mode of its folders to {mode:04o}", "chown it to the account the daemons use"
        ):
            for folder in (self.root, *self._all_folders()):
                if stat.S_IMODE(folder.stat().st_mode) != mode:
                    folder.chmod(mode)
        self._prove_one_file_system()
        with self._explained(
            "cannot create, sync and rename a file in it", "use a writable local file system with free space"
        ):
            self._prove_writable()

    def _folders(self) -> Iterator[Path]:
        yield self.owners
        yield self.corrupt
        for lane in Lane:
            yield self.folder(lane)
            yield self.folder(lane) / "trail"

    def _all_folders(self) -> Iterator[Path]:
        yield from self._folders()
        for lane in Lane:
            for part in PARTS:
                yield self.folder(lane) / part

    @contextmanager
    def _explained(self, wrong: str, advice: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise SpoolUnusable(f"spool {self.root}: {wrong}: {error.strerror}{where}; {advice}") from error

    def _prove_one_file_system(self) -> None:
        home = self.root.stat().st_dev
        for folder in self._all_folders():
            if folder.is_symlink() or folder.stat().st_dev != home:
                raise SpoolUnusable(
                    f"spool {self.root}: {folder.relative_to(self.root)} is a link or another file system; "
                    "entries are renamed from folder to folder, so put all of them on one"
                )

    def _prove_writable(self) -> None:
        """The steps of a deposit, and of a move from the first lane to the last."""
        first, last = self.folder(Lane.LOCAL), self.folder(Lane.TRASH)
        me = f"{os.getpid()}.{self.node}"
        entry = EntryName(10**10 - 1, "PROB-EPRO", self.node, 10**12, "direct", "00000000", "0000", -9)
        long_name = claimed_name(str(entry), f"mercury-s.{me}.000000")
        try:
            prove_promises(f"{first}/tmp", f"{last}/tmp", f"probe.{me}", long_name)
        except PromiseBroken as broken:
            raise SpoolUnusable(
                f"spool {self.root}: its file system cannot be trusted with mail: {broken}; use ext4, XFS, Btrfs, or "
                "a shared file system that keeps to POSIX, such as GlusterFS or NFSv4"
            ) from broken

    def set_aside(self, path: str, lane: Lane, name: str, reason: str) -> None:
        """Rename what stands at `path` into corrupt/, the trail of entry `name` with it; nothing is opened."""
        aside = f"{lane.word}.{name}"[:_LONGEST_ASIDE]
        for number in count():
            goal = f"{self.corrupt}/{aside}" + (f".{number}" if number else "")
            if not os.path.lexists(goal):
                break
        try:
            os.rename(path, goal)
        except FileNotFoundError:
            return  #  Another process has done it.
        except OSError as error:
            self.report(
                "entry_set_aside", path=path, reason=f"{reason}; it stays, as it cannot be moved: {error.strerror}"
            )
            return
        try:
            os.rename(f"{self.folder(lane)}/trail/{name}", f"{goal}.trail")
        except OSError:
            pass  #  Most entries have none.
        self.report("entry_set_aside", path=goal, reason=reason)
