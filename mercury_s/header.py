"""The header section of a message on its way in: gathered until it ends, looked at once, never re-written.

Here: where it ends, how many hops it tells of. Not here: its fields (field.py), what a submission lacks
(submission.py). Everything is a search through bytes; the header of a stranger is not parsed on the way of the 250.
"""

from __future__ import annotations

from shared.mail.field import split_fields
from shared.mail.reply import Reply

HEADER_TOO_LONG = Reply(552, "5.3.4", "The header of the message is too long")
#  Octets. Postfix's limit too; what is longer is no header but an attack on those who must show it.
LONGEST_HEADER = 512 * 1024


class HeaderGate:
    """Holds content back until the header section is whole. `header` is it, with the empty line, once `is_open`."""

    __slots__ = ("_held", "header", "is_open")

    def __init__(self) -> None:
        self._held = b""
        self.header = b""
        self.is_open = False

    def feed(self, content: bytes) -> bytes:
        """What may go on: nothing, until the header is whole; then header and content."""
        if self.is_open:
            return content
        content = self._held + content if self._held else content
        end = header_end(content)
        if end < 0 and len(content) <= LONGEST_HEADER:
            self._held = content
            return b""
        self.is_open = True
        self.header = content[:end] if end >= 0 else content
        self._held = b""
        return content

    def finish(self) -> bytes:
        """The message has ended: if it had no body, everything was header and goes on now."""
        if self.is_open:
            return b""
        self.is_open = True
        self.header, self._held = self._held, b""
        return self.header

    @property
    def is_too_long(self) -> bool:
        return len(self.header) > LONGEST_HEADER


def header_end(content: bytes) -> int:
    """Where the body begins; -1 when the header is not at its end yet."""
    if content.startswith(b"\r\n"):
        return 2
    end = content.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1


def count_hops(lowered: bytes) -> int:
    """How many Received fields there are (RFC 5321 §6.3). The header in lower case."""
    return lowered.count(b"\r\nreceived:") + lowered.startswith(b"received:")


def waives_tls(lowered: bytes) -> bool:
    """Whether it says `TLS-Required: No` (RFC 8689 §3). The header in lower case."""
    if b"\r\ntls-required:" not in lowered and not lowered.startswith(b"tls-required:"):
        return False
    return any(field.name == b"tls-required" and field.value == "no" for field in split_fields(lowered))


def has_whole_line_ends(header: bytes) -> bool:
    """Whether CR and LF stand together only, and there is no NUL. In a binary message nobody else has looked."""
    lines = header.count(b"\r\n")
    return header.count(b"\r") == lines and header.count(b"\n") == lines and b"\0" not in header
