"""Entries of the queue as an operator sees them, read beside the daemons: nothing is claimed and nothing is changed.

An entry may be claimed, postponed or finished while we look. One that is gone when it is opened is left out; one that
changes its folder between two looks is listed once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import Any

from shared.mail.envelope import Envelope
from shared.mail.record import dataclass
from shared.maildir.tree import READ, listed
from shared.routing.lane import Lane
from shared.spool.names import EntryName, parse_name, split_claimed
from shared.spool.record import RecordError, parse_record, record_size
from shared.spool.spool import Spool
from shared.spool.trail import DEFERRED, FAILED, Trail

WAITING, ACTIVE, HELD, TRASH, DAMAGED = "waiting", "active", "held", "trash", "damaged"
QUEUED = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT, Lane.HOLD)

_HEAD_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """`recipients` are those still to be reached; `settled` those that have been. A damaged entry has no envelope,
    only what its name says; `last_error` then says what is wrong with it."""

    name: str
    parts: EntryName
    lane: Lane
    state: str
    path: str
    size: int
    next_attempt: float
    envelope: Envelope | None
    recipients: tuple[str, ...]
    settled: tuple[str, ...]
    attempts: int
    last_error: str

    @property
    def id(self) -> str:
        return self.parts.id

    @property
    def arrived(self) -> float:
        return self.envelope.arrived if self.envelope else float(self.parts.seconds)

    @property
    def sender(self) -> str:
        return self.envelope.sender_text if self.envelope else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "lane": self.lane.word,
            "state": self.state,
            "from": self.sender,
            "to": list(self.recipients),
            "size": self.size,
            "arrived": self.arrived,
            "next_attempt": self.next_attempt if self.state == WAITING else None,
            "attempts": self.attempts,
            "last_error": self.last_error,
            "settled": list(self.settled),
        }


def list_entries(
    spool: Spool, lanes: Collection[Lane] = QUEUED, is_wanted: Callable[[EntryName], bool] = lambda parts: True
) -> Iterator[QueueEntry]:
    """The entries of `lanes`, lane by lane, the oldest first. `is_wanted` is asked before a file is opened."""
    for lane in lanes:
        found = {}
        for name, path, state in _names(spool, lane):
            parts = parse_name(name)
            if parts is not None and is_wanted(parts):
                found[name] = (parts, path, state)
        for name, (parts, path, state) in sorted(found.items(), key=lambda item: item[1][0]):
            entry = _read(spool, lane, name, parts, path, state)
            if entry is not None:
                yield entry


def read_entry(spool: Spool, lane: Lane, path: str) -> QueueEntry | None:
    """The entry in the file at `path`, which lies in new/ or cur/ of the lane. None: it is gone, or foreign."""
    folder, _, name = path.rpartition("/")
    is_active = folder.endswith("/cur")
    if is_active:
        name = split_claimed(name)[0]
    parts = parse_name(name)
    return None if parts is None else _read(spool, lane, name, parts, path, ACTIVE if is_active else _resting(lane))


def _resting(lane: Lane) -> str:
    return {Lane.HOLD: HELD, Lane.TRASH: TRASH}.get(lane, WAITING)


def _names(spool: Spool, lane: Lane) -> Iterator[tuple[str, str, str]]:
    """Name, path and state. `new` is read again behind `cur`, for what was given back in between."""
    resting = _resting(lane)
    folder = spool.folder(lane)
    for part in ("new", "cur", "new"):
        try:
            for item in listed(f"{folder}/{part}"):
                name = split_claimed(item.name)[0] if part == "cur" else item.name
                yield name, item.path, ACTIVE if part == "cur" else resting
        except FileNotFoundError:
            return  # a spool that no daemon has used yet


def _read(spool: Spool, lane: Lane, name: str, parts: EntryName, path: str, state: str) -> QueueEntry | None:
    try:
        envelope, due, message_size = _read_head(path)
    except RecordError as error:
        return QueueEntry(name, parts, lane, DAMAGED, path, parts.size, 0.0, None, (), (), 0, str(error))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror or str(error)
        return QueueEntry(name, parts, lane, DAMAGED, path, parts.size, 0.0, None, (), (), 0, reason)
    trail = Trail(f"{spool.folder(lane)}/trail/{name}")
    addresses = [str(recipient.address) for recipient in envelope.recipients]
    open_ones = tuple(str(recipient.address) for recipient in trail.unfinished(envelope.recipients))
    return QueueEntry(
        name=name,
        parts=parts,
        lane=lane,
        state=state,
        path=path,
        size=message_size,
        next_attempt=due,
        envelope=envelope,
        recipients=open_ones,
        settled=tuple(address for address in addresses if address not in open_ones),
        attempts=trail.attempts(),
        last_error=_last_error(trail, lane),
    )


def _read_head(path: str) -> tuple[Envelope, float, int]:
    """The envelope, the next attempt and the octets of the message. Raises RecordError and OSError."""
    descriptor = os.open(path, READ)
    try:
        status = os.fstat(descriptor)
        data = os.read(descriptor, _HEAD_OCTETS)
        while b"\n" not in data and len(data) < status.st_size:
            data += os.read(descriptor, _HEAD_OCTETS) or b"\n"
        missing = record_size(data) - len(data)
        if missing > 0:
            data += os.pread(descriptor, missing, len(data))
        envelope, start = parse_record(data)
        return envelope, status.st_mtime, status.st_size - start
    finally:
        os.close(descriptor)


def _last_error(trail: Trail, lane: Lane) -> str:
    """What the next hop said. A mailbox says no more than a sender may know: behind that stands the reason."""
    for record in reversed(trail.records):
        if record.event in (DEFERRED, FAILED):
            is_ours = lane is Lane.LOCAL and record.reply and record.detail and not record.host
            return f"{record.reply} ({record.detail})" if is_ours else record.reply or record.detail
    return ""
