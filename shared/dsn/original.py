"""The third part of a report: the message it is about, whole or its header (RFC 3464 §2, RFC 6522 §3, RFC 6533).

Foreign bytes go in as they are, or not at all: what cannot stand in a 7bit or 8bit part is left out, not repaired.
Only the header is cut and cleaned, so that something is there to recognize the message by.
"""

from __future__ import annotations

import re

from shared.mail.record import dataclass

#  A longer message comes back as its header only, whatever RET says, so that reports cannot be used as a lever.
LONGEST_COPY = 50_000
LONGEST_HEAD = 20_000
#  RFC 5321 §4.5.3.1.6, without the CRLF
LONGEST_LINE = 998
_UNFIT = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Original:
    """`whole` is None when only the header shall go back."""

    head: bytes
    whole: bytes | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A body part: its Content-Type and its bytes; `transfer` is set when these are encoded."""

    type: str
    body: bytes
    transfer: str = ""

    @property
    def encoding(self) -> str:
        return self.transfer or ("7bit" if self.body.isascii() else "8bit")


def render_original(original: Original, is_utf8: bool) -> Part:
    """`is_utf8`: it was accepted with SMTPUTF8, so its header may be UTF-8 (RFC 6532)."""
    is_global = is_utf8 and not original.head.isascii() and _is_utf8(original.head)
    whole = original.whole
    if whole is not None and len(whole) <= LONGEST_COPY and is_fit(whole):
        return Part("message/global" if is_global else "message/rfc822", whole)
    return Part("message/global-headers" if is_global else "text/rfc822-headers", clean_head(original.head))


def is_fit(data: bytes) -> bool:
    """Whether the bytes can stand in a part without an encoding: CRLF lines of at most 998 octets, no NUL."""
    return not _UNFIT.search(data) and max(map(len, data.split(b"\r\n"))) <= LONGEST_LINE


def clean_head(head: bytes) -> bytes:
    """The fields without the empty line, cut to a size and to lines that fit."""
    if len(head) > LONGEST_HEAD:
        head = head[: head.rfind(b"\r\n", 0, LONGEST_HEAD) + 2] or head[:LONGEST_HEAD]
    lines = _UNFIT.sub(b"?", head).rstrip(b"\r\n").split(b"\r\n")
    return b"".join(line[:LONGEST_LINE] + b"\r\n" for line in lines if line)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
