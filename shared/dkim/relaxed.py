"""The relaxed form of header fields and of a body (RFC 6376 §3.4.2, §3.4.4), which small changes do not touch.

A body is hashed while it is read, in bounded memory, however it is cut into pieces. Not here: what is done with a
hash (signature.py). Pure.
"""

from __future__ import annotations

import hashlib
import re

_SPACES = re.compile(rb"[ \t]+")
_RUN = re.compile(rb"  +")
#  Line ends that are none (RFC 5322 §2.3): in binary mail they are octets like all others.
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_TAB_IS_SPACE = bytes.maketrans(b"\t", b" ")
_BLOCK = b"\r\n" * 4096


def relax_field(name: bytes, body: bytes) -> bytes:
    """The field without its line end. `name` is in lower case; `body` stands behind the colon, still folded."""
    return name + b":" + _SPACES.sub(b" ", body.replace(b"\r\n", b"")).strip(b" ")


class BodyHash:
    """SHA-256 of the relaxed form of a body, given in pieces. Line ends that may be the last ones, and white space
    that may end a line, are counted and not kept."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_empty = True
        self._breaks = 0
        self._has_space = False
        self._kept = b""

    def feed(self, piece: bytes) -> None:
        data = self._kept + piece
        self._kept = b"\r" if data.endswith(b"\r") else b""
        if self._kept:
            data = data[:-1]
        end = _end_of_text(data)
        if end:
            self._take(data[:end])
        tail = data[end:]
        breaks = tail.count(b"\r\n")
        if breaks:
            self._breaks += breaks
            self._has_space = tail[-1:] in (b" ", b"\t")
        elif tail:
            self._has_space = True

    def digest(self) -> bytes:
        """Nothing is fed after this. What is not empty ends in one CRLF (§3.4.4)."""
        if self._kept:
            self._take(self._kept)
            self._kept = b""
        if not self._is_empty:
            self._hash.update(b"\r\n")
        return self._hash.digest()

    def _take(self, text: bytes) -> None:
        """`text` ends in an octet that stays, so what was held back before it stays, too."""
        whole, rest = divmod(self._breaks, len(_BLOCK) // 2)
        for _ in range(whole):
            self._hash.update(_BLOCK)
        self._hash.update(_BLOCK[: 2 * rest])
        if self._has_space:
            text = b" " + text
        text = text.translate(_TAB_IS_SPACE)
        if b"  " in text:
            text = _RUN.sub(b" ", text)
        self._hash.update(text.replace(b" \r\n", b"\r\n"))
        self._breaks, self._has_space, self._is_empty = 0, False, False


def _end_of_text(data: bytes) -> int:
    """Where the white space and line ends begin that `data` ends in."""
    end = len(data.rstrip(b" \t\r\n"))
    tail = data[end:]
    if b"\r" in tail or b"\n" in tail:
        for bare in _BARE.finditer(data, end):
            end = bare.end()
    return end
