"""The pickup folder: where people of this host put mail whom the spool does not let in, also when no daemon runs.

Everyone may put a file into tmp/ and rename it into new/; nobody but the daemon can see what is there. A file is a
message as it is, or one behind an envelope (docs/spool.md). Not here: what becomes of it (mercury_s/pickup.py).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from shared.mail.handwritten import Wish
from shared.mail.record import dataclass
from shared.maildir.tree import CREATE, READ, forget_file, listed, make_folder, sync_folder
from shared.maildir.write import write_pieces

_FIRST_LINE = b"Mercury-Pickup: 1"
#  To enter and to write, but not to list; sticky, so that nobody removes the mail of another; the group goes over to
#  the files, so that the daemon can read them.
_MODE = 0o3733
_PARENT_MODE = 0o711


class PickupFault(ValueError):
    """The file cannot be mail; says why."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A file of the folder: who put it there, and what he wants."""

    name: str
    uid: int
    wish: Wish
    message: bytes


class PickupFolder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.new = str(root / "new")
        self._tmp = str(root / "tmp")
        self._refused = str(root / "refused")

    def prepare(self) -> None:
        """By the daemon. Raises OSError when the folder is not as it must be and we may not change it."""
        make_folder(self.root, _PARENT_MODE)
        make_folder(Path(self._refused), 0o700)
        for part in (self._tmp, self.new):
            make_folder(Path(part), 0o700)
            if stat.S_IMODE(os.stat(part).st_mode) != _MODE:
                os.chmod(part, _MODE)
        if stat.S_IMODE(os.stat(self.root).st_mode) != _PARENT_MODE:
            os.chmod(self.root, _PARENT_MODE)

    def put(self, wish: Wish, message: bytes) -> None:
        """By anybody. Durable when this returns. Raises OSError."""
        name = f"{int(time.time())}.{os.getpid()}.{secrets.token_hex(8)}"
        path = f"{self._tmp}/{name}"
        descriptor = os.open(path, CREATE, 0o640)
        try:
            try:
                os.fchmod(descriptor, 0o640)  #  whatever the umask: the daemon reads it as our group
                write_pieces(descriptor, [render_wish(wish), message])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(path, f"{self.new}/{name}")
        except BaseException:
            forget_file(path)
            raise
        self._sync_names()

    def _sync_names(self) -> None:
        """Whoever may not list a folder may not open it either; then a sync of everything does it."""
        try:
            sync_folder(self.new)
        except PermissionError:
            os.sync()

    def names(self) -> Iterator[str]:
        for entry in listed(self.new):
            yield entry.name

    def read(self, name: str, most: int) -> Picked | None:
        """None when it is gone. Raises PickupFault, OSError."""
        try:
            descriptor = os.open(f"{self.new}/{name}", READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EACCES, errno.ENXIO):
                raise PickupFault(f"cannot be opened: {error.strerror}") from error
            raise
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PickupFault("is no regular file")
            if status.st_nlink != 1:
                #  A link to the file of somebody else would speak in his name.
                raise PickupFault("has another name elsewhere")
            if status.st_size > most:
                raise PickupFault("is larger than receive.max_message_size")
            data = _read_all(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        wish, message = parse_wish(data)
        return Picked(name, status.st_uid, wish, message)

    def remove(self, name: str) -> None:
        forget_file(f"{self.new}/{name}")

    def refuse(self, name: str) -> str:
        """Put it aside for the operator; its new path. Raises OSError."""
        path = f"{self._refused}/{name}"
        os.rename(f"{self.new}/{name}", path)
        return path

    def sweep(self, older_than: float) -> int:
        """Remove what was begun and never finished; how many."""
        swept = 0
        for entry in listed(self._tmp):
            status = entry.stat(follow_symlinks=False)
            if status.st_mtime < older_than and not stat.S_ISDIR(status.st_mode):
                forget_file(entry.path)
                swept += 1
        return swept


def _read_all(descriptor: int, size: int) -> bytes:
    """What was there when its size was looked at; files are renamed into new/ when they are whole."""
    pieces = []
    while size > 0 and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def render_wish(wish: Wish) -> bytes:
    """The lines before the message, with the empty line."""
    lines = [_FIRST_LINE]
    if wish.sender is not None:
        lines.append(b"Mercury-From: " + _word(wish.sender))
    lines += [b"Mercury-To: " + _word(recipient) for recipient in wish.recipients]
    named = {"By-Header": "yes" if wish.by_header else "", "Name": wish.full_name}
    named |= {"Notify": wish.notify, "Ret": wish.ret, "Envid": wish.envid}
    lines += [b"Mercury-%s: %s" % (name.encode(), _word(value)) for name, value in named.items() if value]
    return b"\n".join(lines) + b"\n\n"


def parse_wish(data: bytes) -> tuple[Wish, bytes]:
    """The wish and the message. A file without the lines is a message to those that its header names."""
    if not data.startswith(_FIRST_LINE + b"\n"):
        return Wish(by_header=True), data
    head, gap, message = data.partition(b"\n\n")
    if not gap:
        raise PickupFault("has no empty line behind its envelope")
    recipients: list[str] = []
    values: dict[str, str] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b": ")
        text = value.decode("utf-8", "surrogateescape")
        if name == b"Mercury-To":
            recipients.append(text)
        elif colon and name in _VALUES:
            values[_VALUES[name]] = text
        else:
            raise PickupFault(f"has a line in its envelope that means nothing: {line[:60]!r}")
    by_header = values.pop("by_header", "") == "yes"
    return Wish(tuple(recipients), values.pop("sender", None), by_header, **values), message


_VALUES = {
    b"Mercury-From": "sender",
    b"Mercury-By-Header": "by_header",
    b"Mercury-Name": "full_name",
    b"Mercury-Notify": "notify",
    b"Mercury-Ret": "ret",
    b"Mercury-Envid": "envid",
}


def _word(text: str) -> bytes:
    """`text` on one line."""
    return " ".join(text.split()).replace("\0", "").encode("utf-8", "surrogateescape")
