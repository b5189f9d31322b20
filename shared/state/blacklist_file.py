"""The blacklist on disk: `blacklist.jsonl` in the state folder, one JSON object a line, the later line counts.

Daemons, their workers and the `mercury` command all write it by appending whole lines under a lock, and see within a
second what the others wrote. It outlives a restart, not a power failure: nothing here waits for the disk. Lines that
cannot be read are skipped. When most lines are history the file is written anew and renamed into place.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.state.blacklist import FOREVER, Blacklist, Entry, network_of

NAME = "blacklist.jsonl"
_LOOK_EVERY = 1.0
_HISTORY = 1000  #  lines that may be of no use any more
_LONGEST_REASON = 200


class BlacklistFile:
    """Also what a session and a filter speak to: `find`, `add`, `remove`. `now` is Unix time, `clock` any seconds.

    Raises OSError in `add` and `remove` only when `strict`; a daemon goes on with what it has in memory.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float],
        clock: Callable[[], float],
        by: str,
        on_trouble: Callable[[OSError], None] | None = None,
    ) -> None:
        self._path = folder / NAME
        self._now = now
        self._clock = clock
        self._by = by
        self._on_trouble = on_trouble
        self._list = Blacklist()
        self._read = (0, 0)  #  inode, and up to which octet
        self._lines = 0
        self._next_look = -math.inf

    def find(self, address: str) -> Entry | None:
        """The entry in force for a client."""
        if self._clock() >= self._next_look:
            self._look()
        return self._list.find(address, self._now()) if len(self._list) else None

    def entries(self) -> list[Entry]:
        """Those in force, the one that ends first first."""
        self._look()
        self._list.forget_past(self._now())
        return sorted(self._list, key=lambda entry: (entry.until, str(entry.network)))

    def add(self, address: str, reason: str, seconds: float | None) -> Entry:
        """`address` is an IP address or a network; None stays until it is removed. Raises ValueError."""
        now = self._now()
        network = network_of(address)
        entry = Entry(network, reason[:_LONGEST_REASON], now, FOREVER if seconds is None else now + seconds, self._by)
        self._list.put(entry)
        self._append(_render(entry))
        return entry

    def remove(self, address: str) -> Entry | None:
        """What was in force for exactly this address or network. Raises ValueError."""
        network = network_of(address)
        self._look()
        entry = self._list.drop(network)
        if entry is not None:
            self._append({"network": str(network), "removed": self._now(), "by": self._by})
        return entry if entry is None or entry.until > self._now() else None

    # ---- the file --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._next_look = self._clock() + _LOOK_EVERY
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            if self._read != (0, 0):  #  taken away by hand: that is how an operator empties it
                self._list.clear()
                self._read, self._lines = (0, 0), 0
            return
        except OSError as error:
            self._complain(error)
            return
        if self._read != (status.st_ino, status.st_size):
            self._take(status.st_ino, status.st_size)

    def _take(self, inode: int, size: int) -> None:
        """Read what was added; all of it when the file is another one."""
        start = self._read[1] if self._read[0] == inode and self._read[1] <= size else 0
        try:
            with open(self._path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(start)
                data = file.read()
        except OSError as error:
            self._complain(error)
            return
        if start == 0:
            self._list.clear()
            self._lines = 0
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._lines += 1
            self._apply(line)
        self._read = (inode, start + len(whole))

    def _apply(self, line: bytes) -> None:
        try:
            fields = json.loads(line)
            network = network_of(fields["network"])
            if "removed" in fields:
                self._list.drop(network)
            else:
                until = fields["until"]
                until = FOREVER if until is None else float(until)
                self._list.put(
                    Entry(network, str(fields["reason"]), float(fields["added"]), until, str(fields.get("by", "")))
                )
        except (ValueError, KeyError, TypeError):
            return

    def _append(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        try:
            with self._locked() as descriptor:
                size = os.fstat(descriptor).st_size
                #  Behind a line that a crash cut off, a new one would be lost with it.
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                os.write(descriptor, line)
            if self._lines > len(self._list) + _HISTORY:
                self._rewrite()
        except OSError as error:
            self._complain(error)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open for appending, and still the one of that name when the lock is ours."""
        while True:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o640)
            try:
                self._give_to_owner(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_at(self._path, descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _rewrite(self) -> None:
        with self._locked() as descriptor:
            part = self._path.with_suffix(".part")
            self._take(0, 0)
            self._list.forget_past(self._now())
            lines = [json.dumps(_render(entry), separators=(",", ":")) + "\n" for entry in self._list]
            with open(part, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), os.fstat(descriptor).st_mode & 0o777)
                self._give_to_owner(file.fileno())
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
                self._read = (os.fstat(file.fileno()).st_ino, file.tell())
            os.rename(part, self._path)
            self._lines = len(lines)

    def _give_to_owner(self, descriptor: int) -> None:
        """What root makes here must stay writable for the account that the folder belongs to."""
        if os.geteuid() == 0:
            folder = os.stat(self._path.parent)
            if os.fstat(descriptor).st_uid != folder.st_uid:
                os.fchown(descriptor, folder.st_uid, folder.st_gid)

    def _complain(self, error: OSError) -> None:
        if self._on_trouble is None:
            raise error
        self._on_trouble(error)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, ours = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _render(entry: Entry) -> dict[str, Any]:
    until = None if math.isinf(entry.until) else round(entry.until, 3)
    fields = {"network": str(entry.network), "until": until, "added": round(entry.added, 3), "reason": entry.reason}
    return {**fields, "by": entry.by} if entry.by else fields
