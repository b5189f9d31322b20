"""Accounts of this host behind numbers that the kernel tells."""

from __future__ import annotations

import pwd
from pathlib import Path

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
