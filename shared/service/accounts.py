"""Accounts of this host behind numbers that the kernel tells."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Sequence
from pathlib import Path

from shared.service.control import NOBODY

#  What the kernel keeps for a process that nobody logged in for.
_NO_LOGIN = 2**32 - 1


def account_of(uid: int) -> str:
    """Its name; the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def login_of(process: str) -> str:
    """The account that logged in, which su and sudo do not change; empty where the kernel does not keep it."""
    try:
        uid = int(Path(f"/proc/{process}/loginuid").read_text())
    except (OSError, ValueError):
        return ""
    return "" if uid == _NO_LOGIN else account_of(uid)


def viewers_of(names: Sequence[str]) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the accounts and of the groups (`@name`) there are of these; nobody's is never among them."""
    uids, gids = set[int](), set[int]()
    for name in names:
        try:
            if name.startswith("@"):
                gids.add(grp.getgrnam(name[1:]).gr_gid)
            else:
                uids.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return frozenset(uids - {NOBODY}), frozenset(gids - {NOBODY})
