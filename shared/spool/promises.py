"""What the spool asks of its file system, proved with two small files at each start (docs/spool.md has the list).

A file system that breaks one of these loses mail or doubles it without a word, so a daemon refuses to start on it.
What cannot be seen from here stays a promise: that what was synced survives a power cut, that other hosts see
a rename.
"""

from __future__ import annotations

import errno
import fcntl
import os

from shared.maildir.tree import CREATE, forget_file, sync_folder

#  A whole second of another year, which every file system can keep.
_MOMENT = 1_600_000_000
_DATA = b"probe\n"


class PromiseBroken(Exception):
    """One line: what this file system does not do."""


def prove_promises(first: str, last: str, name: str, long_name: str) -> None:
    """`first` and `last` are folders of the spool; the names are nobody else's, one as long as that of an entry can
    be. Raises PromiseBroken, or OSError for what the file system itself refuses."""
    probe, moved, other = f"{first}/{name}", f"{last}/{long_name}", f"{first}/{name}.other"
    for path in (probe, moved, other):
        forget_file(path)
    try:
        _write(probe, _DATA)
        _prove_exclusive(probe)
        _prove_time(probe)
        _prove_rename(probe, moved)
        _prove_replace(other, moved)
        _prove_lock(moved)
        sync_folder(last)
    finally:
        for path in (probe, moved, other):
            forget_file(path)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, CREATE, 0o660)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 64)
    finally:
        os.close(descriptor)


def _prove_exclusive(path: str) -> None:
    """Blocks of queue ids are given out by this."""
    try:
        os.close(os.open(path, CREATE, 0o660))
    except FileExistsError:
        return
    raise PromiseBroken("it makes a new file under a name that there is already")


def _prove_time(path: str) -> None:
    """The time of an entry is when it is tried next."""
    os.utime(path, (_MOMENT, _MOMENT))
    if int(os.stat(path).st_mtime) != _MOMENT:
        raise PromiseBroken("it does not keep the time that a file is given")


def _prove_rename(path: str, goal: str) -> None:
    """A claim is a rename, and of two who claim one may win."""
    os.rename(path, goal)
    if _read(goal) != _DATA:
        raise PromiseBroken("a file has lost its content when it is renamed")
    if int(os.stat(goal).st_mtime) != _MOMENT:
        raise PromiseBroken("a file has lost its time when it is renamed")
    if os.path.lexists(path):
        raise PromiseBroken("a file that was renamed is still there under its old name")
    try:
        os.rename(path, f"{path}.other")
    except FileNotFoundError:
        return
    raise PromiseBroken("a file can be renamed twice from the same name, so two could claim one message")


def _prove_replace(path: str, goal: str) -> None:
    """Words of the sites, and entries of other accounts, are replaced this way."""
    _write(path, b"other\n")
    os.rename(path, goal)
    if _read(goal) != b"other\n":
        raise PromiseBroken("a rename does not replace what has that name")


def _prove_lock(path: str) -> None:
    """Who lives on this host is told by locks."""
    one, two = (os.open(path, os.O_RDWR | os.O_CLOEXEC) for _ in range(2))
    try:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return
            raise
        raise PromiseBroken("it gives one lock to two at the same time")
    finally:
        os.close(one)
        os.close(two)
