"""What stands beside the entries of a lane: files of tmp/, trails, and what belongs to nobody."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from shared.maildir.tree import CREATE, forget_file, sync_folder
from shared.maildir.write import write_pieces
from shared.routing.lane import Lane
from shared.spool.check.entries import NO_ENTRY_NAME, NO_FILE
from shared.spool.check.mender import Finding, Mender, looked_into, make_readable, readable_trouble
from shared.spool.lane import LaneFolder
from shared.spool.names import parse_name, split_claimed
from shared.spool.trail import Trail, render_trail

PARTS = ("tmp", "new", "cur", "trail")
#  What mail readers write into a Maildir++ folder that somebody has opened with them.
_OF_READERS = ("maildirfolder", "maildirsize", "dovecot", "courier", "subscriptions")


def check_tmp(mender: Mender, lane: Lane) -> Iterator[Finding]:
    for item in mender.look_into(f"{mender.spool.folder(lane)}/tmp"):
        status = _status(item)
        if status is None:
            continue
        if not stat.S_ISREG(status.st_mode):
            yield mender.set_aside(item.path, NO_FILE)
        elif mender.now - status.st_mtime > mender.leftovers_after:
            yield mender.remove(item.path, "left behind by a deposit that was never finished, nor answered with 250")


def check_strangers(mender: Mender, lane: Lane) -> Iterator[Finding]:
    """In the lane's own folder."""
    for item in mender.look_into(str(mender.spool.folder(lane))):
        if item.name not in PARTS and not item.name.startswith(_OF_READERS):
            yield mender.set_aside(item.path, "is none of the folders of a lane")


def check_trails(mender: Mender, lane: Lane) -> Iterator[Finding]:
    folder = mender.spool.folder(lane)
    for item in mender.look_into(f"{folder}/trail"):
        status = _status(item)
        if status is None:
            continue
        path = item.path
        if parse_name(item.name) is None:
            yield mender.set_aside(path, NO_ENTRY_NAME)
        elif not stat.S_ISREG(status.st_mode):
            yield mender.set_aside(path, NO_FILE)
        elif not _has_entry(folder, item.name):
            if mender.now - status.st_mtime > mender.leftovers_after:
                yield mender.remove(path, "a trail without its entry")
        elif wrong := readable_trouble(mender.spool.root, status):
            yield mender.mend(path, wrong, partial(make_readable, mender.spool.root, path), "given to that account")
        else:
            yield from _check_lines(mender, lane, item.name, path)


def _status(item: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return item.stat(follow_symlinks=False)
    except OSError:
        return None  #  Gone meanwhile.


def _has_entry(folder: Path, name: str) -> bool:
    """Looked for twice: it may go to and fro between the looks."""
    for _ in range(2):
        if os.path.lexists(folder / "new" / name):
            return True
        if any(split_claimed(item.name)[0] == name for item in looked_into(f"{folder}/cur")):
            return True
    return False


def _check_lines(mender: Mender, lane: Lane, name: str, path: str) -> Iterator[Finding]:
    trail = Trail(path)
    try:
        is_whole = trail.records is not None and not trail.damaged
    except OSError as error:
        yield mender.set_aside(path, f"cannot be read: {error.strerror or error}")
        return
    if not is_whole:
        wrong = f"lines that cannot be read: {trail.damaged}"
        yield mender.mend(path, wrong, lambda: _mend_lines(mender, lane, name), "the others kept, the old set aside")


def _mend_lines(mender: Mender, lane: Lane, name: str) -> None:
    """Under a claim, so that no daemon adds a line to the file that goes. The old file keeps its place until the new
    one is durable: what it says of settled recipients is never lost."""
    folder = LaneFolder(mender.spool, lane, mender.owner)
    claim = folder.claim(name)
    if claim is None:
        raise OSError(0, "its entry is being delivered just now", name)
    try:
        base = mender.spool.folder(lane)
        tmp, path = f"{base}/tmp/{name}.trail", claim.trail.path
        forget_file(tmp)
        descriptor = os.open(tmp, CREATE, 0o660)
        try:
            write_pieces(descriptor, [render_trail(claim.trail.records)])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        aside = f"{mender.spool.corrupt}/{lane.word}.{name}.damaged-trail"
        forget_file(aside)
        os.link(path, aside, follow_symlinks=False)
        os.rename(tmp, path)
        sync_folder(f"{base}/trail")
    finally:
        folder.release(claim)
