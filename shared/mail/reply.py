"""A reply to an SMTP command (RFC 5321 §4.2) with its enhanced code (RFC 3463, RFC 2034).

One noun for both directions: what we say to a client, and what a server said to us.
The well-known replies of our own server have names in shared/smtp/replies.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.mail.light import light

#  RFC 5321 §4.2   Reply-code = %x32-35 %x30-35 %x30-39
_CODE = range(200, 600)
#  RFC 3463 §2     status-code = class "." subject "." detail
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
#  RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets, CRLF, code and enhanced code included.
_LONGEST_TEXT = 490


def printable(text: str) -> str:
    """`text` with every control and non-ASCII character shown as an escape, safe in replies, logs and terminals."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class _Wire:
    """`render`, and from then on what it gave. (The library's cached_property takes a lock for that.)"""

    def __get__(self, reply: Reply, owner: type[Reply] | None = None) -> bytes:
        wire = reply.__dict__["wire"] = reply.render()
        return wire


@light
@dataclass(frozen=True)
class Reply:
    """`code`, `enhanced` (may be empty, as in 220, 354 and foreign replies) and one or more lines of `text`.

    `wire` is the reply as it is sent, kept from the first time on: most are given again and again.
    """

    code: int
    enhanced: str
    text: str

    wire = _Wire()

    def __post_init__(self) -> None:
        if self.code not in _CODE:
            raise ValueError(f"{self.code} is no reply code")
        if self.enhanced and (not _ENHANCED.match(self.enhanced) or self.enhanced[0] != str(self.code)[0]):
            raise ValueError(f"{self.enhanced!r} does not belong to {self.code}")

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    def render(self) -> bytes:
        """The reply as it goes over the wire: printable ASCII, lines of at most 512 octets."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if self.text.isascii() and self.text.isprintable() and len(self.text) <= _LONGEST_TEXT:
            return f"{self.code} {prefix}{self.text}\r\n".encode("ascii")
        lines = self.text.split("\n")
        if not self.text.isascii() or not "".join(lines).isprintable() or max(map(len, lines)) > _LONGEST_TEXT:
            lines = [printable(line)[:_LONGEST_TEXT] for line in lines]
        last = lines.pop()
        more = "".join([f"{self.code}-{prefix}{line}\r\n" for line in lines])
        return f"{more}{self.code} {prefix}{last}\r\n".encode("ascii")

    def __str__(self) -> str:
        """On one line, printable, as logs and reports show it."""
        enhanced = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {enhanced}{printable(self.text.replace(chr(10), ' / '))}"
