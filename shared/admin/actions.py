"""What an operator does to an entry: have it tried now, hold it, release it, remove it, bring it back.

Each is done as a daemon would do it, through a claim, so that it never meets a delivery half way; the daemons see it
as a rename. Each leaves a line in the entry's trail and an event, with who and why.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.admin.entries import ACTIVE, DAMAGED, QueueEntry
from shared.config.model import Config
from shared.maildir.tree import sync_folder
from shared.observe import events
from shared.observe.log import EventLog
from shared.observe.sinks import RecordFile
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.service.site_words import table_in_force
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.sharing import umask_for
from shared.spool.spool import Spool
from shared.spool.trail import Trail, TrailRecord

NAME = "mercury"
RETRIED, HELD, RELEASED, REMOVED, UNDELETED = "retried", "held", "released", "removed", "undeleted"

#  What was wrong, or empty when it is done.
Action = Callable[[QueueEntry], str]


class Operator:
    """The one who acts: an owner of claims like a daemon, with a name and a reason."""

    def __init__(self, config: Config, spool: Spool, owner: Owner, log: EventLog, who: str, reason: str) -> None:
        self._config = config
        self._spool = spool
        self._owner = owner
        self._log = log
        self._reason = reason
        self._who = who

    def retry(self, entry: QueueEntry) -> str:
        """Given back with a new time: the daemons notice the rename. What is being delivered needs no push."""
        if entry.state == DAMAGED:
            return f"it is damaged ({entry.last_error}); the daemon that drains its lane sets it aside"
        if entry.state != ACTIVE:
            folder = LaneFolder(self._spool, entry.lane, self._owner)
            claim = folder.claim(entry.name)
            if claim is not None:
                folder.postpone(claim, time.time())
        self._tell(RETRIED, entry)
        return ""

    def hold(self, entry: QueueEntry) -> str:
        """What a site's word holds goes on when the word changes; once held by hand it waits for a release."""
        return self._move(entry, Lane.HOLD, HELD)

    def release(self, entry: QueueEntry) -> str:
        """Back to the lane it was held in; mail that was held from the start goes where it would go today."""
        lane = _lane(entry.parts.origin) or self._lane_of_route(entry)
        if lane in (None, Lane.HOLD, Lane.TRASH):
            return "the configuration says hold for its recipients; see `mercury route`"
        assert lane is not None
        return self._move(entry, lane, RELEASED)

    def remove(self, entry: QueueEntry) -> str:
        return self._move(entry, Lane.TRASH, REMOVED)

    def undelete(self, entry: QueueEntry) -> str:
        """Back to where it was removed from, which its trail tells."""
        trail = Trail(f"{self._spool.folder(entry.lane)}/trail/{entry.name}")
        removals = [record.detail for record in trail.records if record.event == REMOVED]
        lane = _lane(removals[-1].split()[1] if removals else entry.parts.origin)
        return self._move(entry, lane or Lane.HOLD, UNDELETED)

    def _lane_of_route(self, entry: QueueEntry) -> Lane | None:
        """That of the first recipient who does not have to wait. The daemon that claims it judges all again."""
        if entry.envelope is None:
            return None
        table = table_in_force(self._config)
        settled = set(entry.settled)
        recipients = [one.address for one in entry.envelope.recipients if str(one.address) not in settled]
        lanes = [decide_route(table, address, entry.envelope.site).lane for address in recipients]
        return next((lane for lane in lanes if lane is not Lane.HOLD), None)

    def _move(self, entry: QueueEntry, lane: Lane, step: str) -> str:
        if entry.state == DAMAGED:
            return f"it is damaged ({entry.last_error}); the daemon that drains its lane sets it aside"
        folder = LaneFolder(self._spool, entry.lane, self._owner)
        claim = folder.claim(entry.name)
        if claim is None:
            return "it is being delivered just now, or has left its lane; look again"
        #  Undelete reads the lane from this line again.
        detail = f"from {entry.lane.word} by {self._who}" + (f": {self._reason}" if self._reason else "")
        try:
            record = TrailRecord(time.time(), NAME, step, detail=detail)
            claim.trail.append([record], durable=True)
            folder.move(claim, lane, time.time())
            sync_folder(self._spool.folder(lane) / "new")
        except OSError:
            folder.release(claim)
            raise
        self._tell(step, entry, to=lane.word)
        return ""

    def _tell(self, step: str, entry: QueueEntry, to: str | None = None) -> None:
        self._log.event(
            events.OPERATOR_ACTED,
            id=entry.id,
            action=step,
            lane=entry.lane.word,
            to=to,
            by=self._who,
            reason=self._reason or None,
        )


def _lane(word: str) -> Lane | None:
    return next((lane for lane in Lane if lane.word == word), None)


def caller() -> str:
    """Who typed the command: the account behind sudo, if there is one."""
    name = os.environ.get("SUDO_USER", "")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _become_owner(root: Path) -> None:
    """Root goes on as the account that the spool belongs to: a trail that only root may read would be damage to the
    daemons. Raises OSError."""
    owner = os.stat(root)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    os.umask(umask_for(root))


@contextmanager
def operator(config: Config, spool: Spool, reason: str) -> Iterator[Operator]:
    """Raises OSError when the spool cannot be written."""
    who = caller()
    _become_owner(spool.root)
    owner = Owner(spool, NAME)
    log = EventLog()
    owner.begin()
    try:
        log.open(NAME, records=_records(config.state / "events"))
        yield Operator(config, spool, owner, log, who, reason)
    finally:
        log.close()
        owner.end()


def _records(folder: Path) -> RecordFile | None:
    """None when the state folder is not ours to write: the trail of each entry says the same."""
    try:
        return RecordFile(folder / f"{NAME}.jsonl")
    except OSError:
        return None
