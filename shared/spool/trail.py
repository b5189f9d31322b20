"""The trail of an entry: what happened to it, one JSON object a line, appended and never rewritten.

A torn last line (a crash while appending) counts as not written; the next append closes it first. Not here: what a
daemon does about an outcome (shared/delivery).
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence

from shared.mail.envelope import Recipient
from shared.mail.record import dataclass
from shared.maildir.tree import CREATE, READ, forget_file, sync_folder
from shared.maildir.write import write_pieces

_CODEC = ("utf-8", "surrogatepass")
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#  What happened. A recipient with one of SETTLED is not tried again.
DELIVERED = "delivered"
RELAYED = "relayed"
DEFERRED = "deferred"
FAILED = "failed"
BOUNCED = "bounced"
DISCARDED = "discarded"
MOVED = "moved"
WARNED = "warned"
HELD = "held"
REROUTED = "rerouted"
SETTLED = frozenset({DELIVERED, RELAYED, BOUNCED, DISCARDED, MOVED})


@dataclass(frozen=True, slots=True)
class TrailRecord:
    """One line. `recipient` is the address as text, empty when the line is about the whole entry; `host` is who spoke
    `reply`; `detail` is for the operator."""

    at: float
    daemon: str
    event: str
    recipient: str = ""
    reply: str = ""
    host: str = ""
    detail: str = ""


class Trail:
    """The file at `path`, which need not exist. Everything here blocks; all of it raises OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.damaged = 0
        self._records: list[TrailRecord] | None = None
        self._closed_line = False

    @property
    def records(self) -> Sequence[TrailRecord]:
        """All lines that can be read; `damaged` counts the others. Read from disk once."""
        if self._records is None:
            data = self._read()
            self._records = list(self._parse(data)) if data else []
        return self._records

    @property
    def exists(self) -> bool:
        return bool(self.records) or self.damaged > 0

    def settled(self) -> set[str]:
        """The recipients that are not to be tried again."""
        return {record.recipient for record in self.records if record.event in SETTLED}

    def unfinished(self, recipients: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
        if not self.records:
            return recipients
        settled = self.settled()
        return tuple([recipient for recipient in recipients if str(recipient.address) not in settled])

    def attempts(self) -> int:
        """How often delivery was tried without an end: the most often that any one recipient was deferred."""
        counts: dict[str, int] = {}
        for record in self.records:
            if record.event == DEFERRED:
                counts[record.recipient] = counts.get(record.recipient, 0) + 1
        return max(counts.values(), default=0)

    def append(self, records: Sequence[TrailRecord], durable: bool) -> None:
        """Write `records` behind the others; with `durable` they survive a power cut when this returns."""
        known = self.records
        lines = render_trail(records)
        is_first = not self.exists
        descriptor = os.open(self.path, _APPEND, 0o660)
        try:
            if not self._closed_line:
                lines = _line_end(descriptor) + lines
            self._closed_line = False
            write_pieces(descriptor, [lines])
            self._closed_line = True
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if durable and is_first:
            sync_folder(os.path.dirname(self.path))
        self._records = [*known, *records]

    def copy(self, tmp: str, path: str) -> None:
        """The same trail at `path`, durable when this returns; written at `tmp` first."""
        write_whole(tmp, path, self._read())

    def remove(self) -> None:
        """Its entry is gone. A trail that cannot be removed is swept later."""
        forget_file(self.path)

    def _read(self) -> bytes:
        try:
            descriptor = os.open(self.path, READ)
        except FileNotFoundError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "is no regular file", self.path)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def _parse(self, data: bytes) -> Iterator[TrailRecord]:
        *lines, torn = data.split(b"\n")
        self.damaged = 1 if torn else 0
        for line in lines:
            try:
                yield _parse_line(line)
            except (ValueError, TypeError):
                self.damaged += 1


def write_whole(tmp: str, path: str, data: bytes) -> None:
    """A trail at `path` that holds `data`, durable when this returns; written at `tmp` first. Raises OSError."""
    forget_file(tmp)
    descriptor = os.open(tmp, CREATE, 0o660)
    try:
        write_pieces(descriptor, [data])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(tmp, path)
    sync_folder(os.path.dirname(path))


def _line_end(descriptor: int) -> bytes:
    """What has to be written before a new line, so that it does not become part of a torn one."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def render_trail(records: Sequence[TrailRecord]) -> bytes:
    """What a trail of these lines holds."""
    return b"".join([_render(record) for record in records])


def _render(record: TrailRecord) -> bytes:
    fields: dict[str, float | str] = {"at": record.at, "daemon": record.daemon, "event": record.event}
    for key in ("recipient", "reply", "host", "detail"):
        if value := getattr(record, key):
            fields[key] = value
    return (json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n").encode(*_CODEC)


def _parse_line(line: bytes) -> TrailRecord:
    fields = json.loads(line.decode(*_CODEC))
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")
    record = TrailRecord(**{key: fields[key] for key in TrailRecord.__slots__ if key in fields})
    if not isinstance(record.at, (int, float)) or not all(
        isinstance(getattr(record, key), str) for key in TrailRecord.__slots__[1:]
    ):
        raise ValueError("a field of the wrong type")
    return record
