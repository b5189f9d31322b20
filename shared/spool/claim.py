"""A claim: one entry that this process works on, opened and understood.

Here: reading an entry's file into values, and what makes it damaged. Not here: the renames around it (lane.py).
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.maildir.tree import READ
from shared.spool.entry_content import LargeContent, SmallContent
from shared.spool.names import EntryName
from shared.spool.record import RecordError, parse_record, record_size
from shared.spool.trail import Trail

#  An entry up to this length is read at once: a message of 256 KiB and the record of a good many recipients.
READ_WHOLE = 320 * 1024
_READ_FIRST = 64 * 1024

#  Errors of an entry itself, as against shortages of the process or outages of a network file system.
DAMAGE = {
    errno.EINVAL: "is no regular file",
    errno.ELOOP: "is a link",
    errno.ENXIO: "is a socket or a device",
    errno.ENODEV: "is a device",
    errno.EACCES: "may not be read by this account",
    errno.EPERM: "may not be read by this account",
    errno.EIO: "cannot be read from the disk",
}


class Damaged(Exception):
    """This file is no entry we can trust; the message says why. It never leaves the room."""


@dataclass(slots=True)
class Claim:
    """`name` is the entry's name as in new/, `path` where its file is now, `due` when it was to be tried."""

    name: str
    path: str
    due: float
    envelope: Envelope
    content: Content
    trail: Trail

    @property
    def unfinished(self) -> tuple[Recipient, ...]:
        """Those who are still to get it."""
        return self.trail.unfinished(self.envelope.recipients)

    @property
    def attempts(self) -> int:
        """How often it was tried before without coming to an end."""
        return self.trail.attempts()


def open_claim(name: str, parsed: EntryName, path: str, trail: Trail) -> Claim:
    """The entry in the file at `path`. Raises Damaged, or OSError for what is not its fault."""
    try:
        descriptor = os.open(path, READ)
    except OSError as error:
        raise _judge(error)
    try:
        status = os.fstat(descriptor)
        _require_whole(status, parsed)
        data = _read_head(descriptor, status.st_size)
        envelope, offset = parse_record(data)
    except RecordError as error:
        raise Damaged(str(error))
    except OSError as error:
        raise _judge(error)
    finally:
        os.close(descriptor)
    if envelope.id != parsed.id:
        raise Damaged("its record belongs to another queue id than its name")
    return Claim(name, path, status.st_mtime, envelope, _content(path, data, offset, status.st_size), trail)


def _judge(error: OSError) -> Exception:
    reason = DAMAGE.get(error.errno or 0)
    return Damaged(reason) if reason else error


def _require_whole(status: os.stat_result, parsed: EntryName) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("is no regular file")
    if status.st_size != parsed.size:
        raise Damaged(f"has {status.st_size} octets, its name says {parsed.size}")


def _read_head(descriptor: int, size: int) -> bytes:
    """The whole file when it is small, else at least its record."""
    if size <= READ_WHOLE:
        return _read(descriptor, size)
    data = _read(descriptor, _READ_FIRST)
    missing = min(record_size(data), size) - len(data)
    return data + _read(descriptor, missing) if missing > 0 else data


def _read(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            raise Damaged(f"ends {size - len(data)} octets early")
        data += more
    return data


def _content(path: str, data: bytes, offset: int, size: int) -> Content:
    if len(data) == size:
        return SmallContent(data[offset:])
    return LargeContent(path, offset, size - offset)
