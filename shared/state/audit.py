"""The audit log: what operators did to the queue, `audit.jsonl` in the state folder, one JSON object a line.

A line says first what is about to be done, by whom, why and to what; it is on disk before anything is touched. Lines
with the same `act` follow, with what became of each entry. The file is only ever appended to, under a lock, and never
shortened by us. Not here: what is done (shared/service), and the events of daemons (shared/observe).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.mail.record import dataclass
from shared.maildir.tree import sync_folder

NAME = "audit.jsonl"
#  Entries whose ends share a line and a sync.
TOGETHER = 100

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: the user id as the kernel knows it, its account, and the name of the login behind it (before sudo or
    su), as far as that is known. `person` is for whom it says to act, as the status page does. `by` is what stands in
    trails."""

    uid: int
    account: str
    login: str = ""
    person: str = ""

    @property
    def by(self) -> str:
        return (self.login or self.account) + (f" for {self.person}" if self.person else "")


class AuditLog:
    """Open for one act. Every method raises OSError; who cannot be audited does not act."""

    def __init__(self, folder: Path, clock: Callable[[], float], owner: tuple[int, int] | None = None) -> None:
        """`owner` (uid, gid): to whom the file is given when it is made here, by root for the daemons' account."""
        self._clock = clock
        is_new = not folder.exists()
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = folder / NAME
        has_file = path.exists()
        self._descriptor = os.open(path, _APPEND, 0o640)
        if not has_file and folder.stat().st_mode & stat.S_ISGID:
            #  The folder is shared by the accounts of a group, and each daemon writes for who asks it.
            os.fchmod(self._descriptor, 0o660)
        if owner is not None and os.geteuid() == 0:
            if is_new:
                os.chown(folder, *owner)
            if not has_file:
                os.fchown(self._descriptor, *owner)
        if not has_file:
            sync_folder(folder)
        self._act = secrets.token_hex(6)
        self._ends: list[Mapping[str, Any]] = []

    def begin(self, caller: Caller, verb: str, selection: str, reason: str, **more: object) -> None:
        """On disk when this returns."""
        self._write(
            {
                "step": "begins",
                "uid": caller.uid,
                "account": caller.account,
                "login": caller.login,
                **({"for": caller.person} if caller.person else {}),
                "verb": verb,
                "selection": selection,
                "reason": reason,
                **more,
            }
        )

    def did(self, end: Mapping[str, Any]) -> None:
        """What became of one entry; on disk at the latest after `close`."""
        self._ends.append(end)
        if len(self._ends) >= TOGETHER:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
        finally:
            os.close(self._descriptor)

    def _flush(self) -> None:
        if self._ends:
            ends, self._ends = self._ends, []
            self._write({"step": "did", "entries": ends})

    def _write(self, fields: Mapping[str, Any]) -> None:
        line = json.dumps({"at": round(self._clock(), 3), "act": self._act, **fields}, separators=(",", ":")).encode()
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._descriptor).st_size
            is_torn = size and os.pread(self._descriptor, 1, size - 1) != b"\n"
            data = (b"\n" if is_torn else b"") + line + b"\n"
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def read_audit(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read, the oldest first. Raises OSError; a log that was never begun has no lines."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        for line in file:
            try:
                fields = json.loads(line)
            except ValueError:
                continue  #  Torn by a power cut; the next writer has closed it.
            if isinstance(fields, dict):
                yield fields


def ids_of(fields: Mapping[str, Any]) -> Sequence[str]:
    """The queue ids in a line."""
    entries = fields.get("entries")
    return (
        [str(entry.get("id", "")) for entry in entries if isinstance(entry, dict)]
        if isinstance(entries, list)
        else []
    )
