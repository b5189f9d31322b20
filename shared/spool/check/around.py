"""What surrounds the lanes: the folders themselves, the counter of queue ids, heartbeats, and what was set aside."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from functools import partial

from shared.maildir.tree import sync_folder
from shared.routing.lane import Lane
from shared.spool.check.entries import NO_FILE, damage_of
from shared.spool.check.leftovers import PARTS
from shared.spool.check.mender import Finding, Mender
from shared.spool.ids import block_of, number_of, number_of_moment, read_counter
from shared.spool.names import parse_name
from shared.spool.sharing import folder_mode

_KNOWN = {"owners", "corrupt", "ids"}
_OURS = (".lock", ".json", ".part")


def check_folders(mender: Mender) -> Iterator[Finding]:
    """Each is a folder of ours; what stands in its place goes, and it is made anew."""
    root, wanted = str(mender.spool.root), folder_mode(mender.spool.root)
    folders = [f"{root}/corrupt", f"{root}/owners"]
    for lane in Lane:
        folders.append(f"{root}/{lane.value}")
        folders += [f"{root}/{lane.value}/{part}" for part in PARTS]
    for folder in folders:
        try:
            mode = os.lstat(folder).st_mode
        except FileNotFoundError:
            yield mender.mend(folder, "is missing", partial(_make, folder, wanted), "made")
            continue
        except OSError as error:
            yield mender.find(folder, f"cannot be looked at: {error.strerror or error}")
            continue
        if not stat.S_ISDIR(mode):
            yield mender.mend(
                folder, "is no folder", partial(_replace, folder, wanted), "renamed out of the way; made"
            )
        elif stat.S_IMODE(mode) != wanted:
            wrong = f"has mode {stat.S_IMODE(mode):04o}, not {wanted:04o}"
            yield mender.mend(folder, wrong, partial(os.chmod, folder, wanted), "set")


def _make(folder: str, mode: int) -> None:
    os.mkdir(folder, mode & 0o777)
    if stat.S_IMODE(os.lstat(folder).st_mode) != mode:
        os.chmod(folder, mode)
    sync_folder(os.path.dirname(folder))


def _replace(folder: str, mode: int) -> None:
    """Beside it and not into corrupt/, which may be the folder in question."""
    number = 0
    while os.path.lexists(goal := f"{folder}.not-a-folder" + (f".{number}" if number else "")):
        number += 1
    os.rename(folder, goal)
    _make(folder, mode)


def check_root(mender: Mender) -> Iterator[Finding]:
    """Names that begin with a dot are lanes, or a network file system's own. Documents are the words of the sites
    (shared/state/site_words.py); what they hold is looked at by who reads them."""
    for item in mender.look_into(str(mender.spool.root)):
        is_ours = item.name.endswith(_OURS) or block_of(item.name) is not None
        if item.name in _KNOWN or (is_ours and item.is_file(follow_symlinks=False)):
            continue
        yield mender.set_aside(item.path, "is no part of a spool")


def check_owners(mender: Mender) -> Iterator[Finding]:
    for item in mender.look_into(str(mender.spool.owners)):
        parts = item.name.split(".", 3)
        if not item.is_file(follow_symlinks=False):
            yield mender.set_aside(item.path, NO_FILE)
        elif len(parts) != 4 or not parts[1].isdecimal():
            yield mender.set_aside(item.path, "is no heartbeat of an owner")
        elif not mender.owner.is_alive(item.name):
            yield mender.remove(item.path, "the heartbeat of an owner who is gone")


def check_ids(mender: Mender) -> Iterator[Finding]:
    """A counter that says too little gives ids out twice; one that says too much gives none."""
    path = f"{mender.spool.root}/ids"
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  #  Made when the first id is given out.
    if not stat.S_ISREG(mode):
        yield mender.set_aside(path, NO_FILE)
        return
    try:
        counter, highest = read_counter(path), highest_in(mender)
    except OSError as error:
        yield mender.find(path, f"cannot be looked at: {error.strerror or error}")
        return
    if counter is None:
        wrong = "holds no number"
    elif counter <= highest:
        wrong = "says less than the ids in the spool"
    else:
        return
    work = partial(_set_counter, path, highest + 1, mender.now)
    yield mender.mend(path, wrong, work, "set behind the highest id in the spool")


def highest_in(mender: Mender) -> int:
    """The number of the highest queue id among the entries, -1 when there is none."""
    highest = -1
    for lane in Lane:
        for part in ("new", "cur"):
            for item in mender.look_into(f"{mender.spool.folder(lane)}/{part}"):
                parsed = parse_name(item.name.partition(",N=")[0])
                if parsed is not None:
                    highest = max(highest, number_of(parsed.id))
    return highest


def _set_counter(path: str, number: int, now: float) -> None:
    """Under the lock of those who reserve. Never below the clock, as if the file had been lost."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%020d\n" % max(number, number_of_moment(now)), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_corrupt(mender: Mender) -> Iterator[Finding]:
    """What was set aside and is whole after all (a disk that came back, rights that were wrong) goes back."""
    corrupt = str(mender.spool.corrupt)
    for item in mender.look_into(corrupt):
        word, _, name = item.name.partition(".")
        lane = next((lane for lane in Lane if lane.word == word), None)
        if lane is None or parse_name(name) is None:
            continue
        back = f"{mender.spool.folder(lane)}/new/{name}"
        try:
            if damage_of(mender, name, item.path) or os.path.lexists(back):
                continue
        except OSError:
            continue
        yield mender.mend(
            item.path, "is whole, and was set aside", partial(_bring_back, item.path, back), "given back"
        )


def _bring_back(path: str, back: str) -> None:
    """The trail first: without it settled recipients would get a second copy."""
    trail = f"{path}.trail"
    if os.path.lexists(trail):
        os.rename(trail, back.replace("/new/", "/trail/"))
    os.rename(path, back)
