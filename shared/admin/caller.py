"""Who typed the command, for trails and the audit log; and root, who goes on as the account of the spool."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from shared.spool.sharing import umask_for
from shared.state.audit import Caller

#  The command, in trails and events.
NAME = "mercury"
#  What the kernel keeps for a process that nobody logged in for.
_NO_LOGIN = 2**32 - 1


def caller() -> Caller:
    uid = os.getuid()
    return Caller(uid, account_of(uid), login_of("self") or (os.environ.get("SUDO_USER", "") if uid == 0 else ""))


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


def owner_of(root: Path) -> tuple[int, int]:
    """Account and group of the spool. Raises OSError."""
    status = os.stat(root)
    return status.st_uid, status.st_gid


def become_owner(root: Path) -> None:
    """Root goes on as the account that the spool belongs to: a trail that only root may read would be damage to the
    daemons. Raises OSError."""
    uid, gid = owner_of(root)
    if os.geteuid() == 0 and uid != 0:
        os.setegid(gid)
        os.seteuid(uid)
    os.umask(umask_for(root))
