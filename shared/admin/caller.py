"""Who typed the command, for trails, events and the audit log; and root, who goes on as the account of the spool."""

from __future__ import annotations

import os
from pathlib import Path

from shared.config.model import Config
from shared.observe import events
from shared.observe.log import EventLog
from shared.observe.sinks import RecordFile
from shared.service.accounts import account_of, login_of
from shared.spool.sharing import umask_for
from shared.state.audit import Caller

#  The command, in trails and events.
NAME = "mercury"


def caller() -> Caller:
    uid = os.getuid()
    return Caller(uid, account_of(uid), login_of("self") or (os.environ.get("SUDO_USER", "") if uid == 0 else ""))


def records_of(config: Config) -> RecordFile | None:
    """Where the command's events are kept; None when the folder is not ours to write."""
    try:
        return RecordFile(config.state / "events" / f"{NAME}.jsonl")
    except OSError:
        return None


def tell_action(config: Config, action: str, reason: str = "", **about: str) -> None:
    """An event with who and why; without it when the state folder is not ours to write."""
    records = records_of(config)
    if records is None:
        return
    log = EventLog()
    log.open(NAME, records=records)
    log.event(events.OPERATOR_ACTED, action=action, **about, by=caller().by, reason=reason or None)
    log.close()


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
