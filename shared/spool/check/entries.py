"""The entries of a lane, waiting and claimed: whether each is one that a daemon could take up.

A claimed entry of an owner who lives is his; it is looked at and left. Not here: their trails and leftovers
(leftovers.py), and entries that stand in the spool twice (doubles.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from shared.routing.lane import Lane
from shared.spool.check.mender import Finding, Mender, make_readable, readable_trouble
from shared.spool.claim import Damaged, open_claim
from shared.spool.names import parse_name, split_claimed
from shared.spool.trail import Trail

NO_ENTRY_NAME = "its name is not that of an entry"
NO_FILE = "is no regular file"


def check_waiting(mender: Mender, lane: Lane) -> Iterator[Finding]:
    folder = mender.spool.folder(lane)
    for item in mender.look_into(f"{folder}/new"):
        yield from check_entry(mender, lane, item.name, item.path)


def check_claimed(mender: Mender, lane: Lane) -> Iterator[Finding]:
    """Entries of dead owners go back to where they wait, and are looked at there."""
    folder = mender.spool.folder(lane)
    for item in mender.look_into(f"{folder}/cur"):
        name, owner = split_claimed(item.name)
        if parse_name(name) is None:
            yield mender.set_entry_aside(lane, item.name, item.path, NO_ENTRY_NAME)
            continue
        if owner and mender.owner.is_alive(owner):
            continue
        back = f"{folder}/new/{name}"
        wrong = f"claimed by {owner}, who is gone" if owner else "claimed by nobody"
        if os.path.lexists(back):
            yield mender.set_entry_aside(lane, item.name, item.path, f"{wrong}, new/ has its like")
            continue
        try:
            problem = damage_of(mender, name, item.path)
        except OSError:
            continue  #  Gone: it was adopted by a daemon, which has looked at it.
        if problem:
            yield mender.set_entry_aside(lane, name, item.path, f"{wrong}; {problem}")
        else:
            yield mender.mend(item.path, wrong, partial(os.rename, item.path, back), "given back to its lane")


def check_entry(mender: Mender, lane: Lane, name: str, path: str) -> Iterator[Finding]:
    """One file in new/; at most one finding that needs a hand, and those that were mended on the way."""
    root = mender.spool.root
    try:
        status = os.lstat(path)
        is_plain = stat.S_ISREG(status.st_mode) and parse_name(name) is not None
        if is_plain and (wrong := readable_trouble(root, status)):
            given = mender.mend(path, wrong, lambda: make_readable(root, path), "given to the daemons")
            if not given.done:
                yield mender.set_entry_aside(lane, name, path, wrong) if given.trouble else given
                return
            yield given
        problem = damage_of(mender, name, path)
    except FileNotFoundError:
        return  #  A daemon has taken it up meanwhile.
    except OSError as error:
        yield mender.find(path, f"cannot be looked at: {error.strerror or error}")
        return
    if problem:
        yield mender.set_entry_aside(lane, name, path, problem)


def damage_of(mender: Mender, name: str, path: str) -> str:
    """Why no daemon would take up the file at `path`; empty when one would. Raises OSError for what is not its
    fault."""
    parsed = parse_name(name)
    if parsed is None:
        return NO_ENTRY_NAME
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return NO_FILE
    try:
        open_claim(name, parsed, path, Trail(""))
    except Damaged as damage:
        return str(damage)
    return ""
