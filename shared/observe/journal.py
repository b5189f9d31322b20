"""Events as records of the systemd journal, with a field for each of theirs: `journalctl MERCURY_ID=7Q2M-K4ZC`.

The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram a record, or, when it is too large for one, a
sealed nameless file. Records are sent by a thread, so a journal that stands still holds up nobody. When there is none
the lines go to stderr, with their priority in front. Not here: what the lines say (wording.py).
"""

from __future__ import annotations

import array
import errno
import fcntl
import hashlib
import os
import re
import socket
import threading
from collections.abc import Mapping

from shared.mail.reply import printable
from shared.observe.events import EVENTS_LOST, Event, Priority
from shared.observe.sinks import BACKLOG_BYTES
from shared.observe.wording import render_text

SOCKET = "/run/systemd/journal/socket"
#  For `journalctl MESSAGE_ID=...` and catalogs: an event has the same one everywhere and for ever.
_NAMESPACE = b"mercury-event:"
_SEND_SECONDS = 5.0
_TOO_LARGE = {errno.EMSGSIZE, errno.ENOBUFS}
_NO_NAME = re.compile(r"[^A-Z0-9_]")

Value = str | int | float | bool


class JournalStream:
    """In the place of a TextStream. `address` is the journal's socket, `stderr` a descriptor to fall back to."""

    def __init__(self, daemon: str, address: str = SOCKET, stderr: int = 2) -> None:
        self._head = f"SYSLOG_IDENTIFIER={daemon}\n".encode()
        self._address = address
        self._stderr = stderr
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_SEND_SECONDS)
        self._heads: dict[Event, bytes] = {}
        self._held: list[tuple[Event, Mapping[str, Value]]] | None = None
        self._waiting: list[tuple[bytes, int, str]] = []
        self._bytes = 0
        self._lost = 0
        self._list_lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._wanted = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="events-journal", daemon=True)
        self._thread.start()

    @classmethod
    def for_this_process(cls, daemon: str) -> JournalStream | None:
        """None unless our stderr is the journal's (JOURNAL_STREAM, systemd.exec(5)) and the journal is there."""
        try:
            state = os.fstat(2)
        except OSError:
            return None
        is_ours = os.environ.get("JOURNAL_STREAM", "") == f"{state.st_dev}:{state.st_ino}"
        return cls(daemon) if is_ours and os.access(SOCKET, os.W_OK) else None

    def write(self, name: Event, fields: Mapping[str, Value]) -> None:
        if self._held is not None:
            self._held.append((name, fields))
            return
        line = render_text(name, fields)
        record = self._render(name, fields, line)
        with self._list_lock:
            if self._bytes > BACKLOG_BYTES:
                self._lost += 1
                return
            self._bytes += len(record)
            self._waiting.append((record, int(name.priority), line))
            is_first = len(self._waiting) == 1
        if is_first:
            self._wanted.set()

    def hold(self) -> None:
        """Keep events back while a daemon starts, as TextStream.hold."""
        self._held = []

    def release(self, is_wanted: bool = True) -> None:
        """Send what was held back, or drop it (the records have it)."""
        held, self._held = self._held, None
        for name, fields in held if held and is_wanted else ():
            self.write(name, fields)

    def flush(self) -> None:
        with self._send_lock:
            with self._list_lock:
                waiting, lost = self._waiting, self._lost
                self._waiting, self._bytes, self._lost = [], 0, 0
            for record, priority, line in waiting:
                self._send(record, priority, line)
            if lost:
                line = render_text(EVENTS_LOST, {"count": lost})
                self._send(self._render(EVENTS_LOST, {"count": lost}, line), int(Priority.ERROR), line)

    def close(self) -> None:
        self._is_closed = True
        self._wanted.set()
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            self.flush()
            self._socket.close()

    def _work(self) -> None:
        while not self._is_closed:
            self._wanted.wait()
            self._wanted.clear()
            self.flush()

    def _render(self, name: Event, fields: Mapping[str, Value], line: str) -> bytes:
        head = self._heads.get(name)
        if head is None:
            head = self._heads[name] = self._head_of(name)
        parts = [head, b"MESSAGE=%s\n" % line.encode("ascii", "backslashreplace")]
        parts += [render_field(key, value) for key, value in fields.items()]
        return b"".join(parts)

    def _head_of(self, name: Event) -> bytes:
        id = hashlib.sha256(_NAMESPACE + name.encode()).hexdigest()[:32]
        word = printable(name).encode()
        return self._head + b"PRIORITY=%d\nMESSAGE_ID=%s\nMERCURY_EVENT=%s\n" % (name.priority, id.encode(), word)

    def _send(self, record: bytes, priority: int, line: str) -> None:
        try:
            try:
                self._socket.sendto(record, self._address)
            except OSError as error:
                if error.errno not in _TOO_LARGE:
                    raise
                self._send_file(record)
        except OSError:
            self._fall_back(f"<{priority}>{line}\n".encode("ascii", "backslashreplace"))

    def _send_file(self, record: bytes) -> None:
        descriptor = os.memfd_create("mercury-event", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(record)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            rights = array.array("i", [descriptor])
            self._socket.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, self._address)
        finally:
            os.close(descriptor)

    def _fall_back(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._stderr, data) :]
        except OSError:
            pass  # nobody listens; mail goes on


def render_field(name: str, value: Value) -> bytes:
    """One field of a record. A stranger's value becomes no other field, and reaches no terminal raw."""
    key = ("MERCURY_" + _NO_NAME.sub("_", name.upper()))[:64].encode()
    text = value if type(value) is str else str(value)
    if text.isascii() and text.isprintable():
        return b"%s=%s\n" % (key, text.encode())
    data = "\n".join([printable(line) for line in text.split("\n")]).encode()
    if b"\n" not in data:
        return b"%s=%s\n" % (key, data)
    return b"%s\n%s%s\n" % (key, len(data).to_bytes(8, "little"), data)
