"""The folders of a Maildir, and the syncing of names: a file's name is data of the folder it stands in.

Here: making the three folders, syncing a folder, listing one. Not here: what the files in them are called or hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PARTS = ("tmp", "new", "cur")

#  O_NOFOLLOW: a link that somebody put in the place of a file is an error, never a way out of the tree.
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#  O_NONBLOCK: opening a pipe that stands in the place of a file must not wait for its other end.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def make_maildir(path: Path, mode: int = 0o700) -> None:
    """`path` with tmp, new and cur, their names synced in the parent. What is there already stays. Raises OSError."""
    make_folder(path, mode)
    for part in PARTS:
        make_folder(path / part, mode)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """One folder and those above it, durable when this returns; those that are there keep their mode."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent, mode)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    #  Also when somebody else was quicker: his sync may still be to come, and our caller relies on the name.
    sync_folder(path.parent)


def sync_folder(folder: str | Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def listed(folder: str) -> Iterator[os.DirEntry[str]]:
    """What stands in `folder`, without the names that begin with a dot: a Maildir's readers skip them, and network
    file systems make such names (.nfs...) for files that were removed while open."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry


def forget_file(path: str) -> None:
    """Remove a file if that is possible; what stays behind is swept later."""
    try:
        os.unlink(path)
    except OSError:
        pass


def close_quietly(descriptor: int) -> None:
    """Close what is given up anyway."""
    try:
        os.close(descriptor)
    except OSError:
        pass
