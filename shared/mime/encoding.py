"""The transfer encodings of a body (RFC 2045 §6.7, §6.8), piece by piece: any cut gives the same octets.

Also here: two that replace instead of encode, for what is no content. Not here: which one is chosen (survey.py).
"""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp
from typing import Protocol

#  A line longer than this is encoded before its end is seen.
_LONGEST_LINE = 32768
_SOFT = b"=\r\n"
_LINE_OCTETS = 57  #  which make 76 letters


class Encoder(Protocol):
    def feed(self, piece: bytes) -> bytes:
        """What can be said of `piece` now."""

    def finish(self) -> bytes:
        """The rest."""


class QuotedPrintable:
    """For text whose line ends are CRLF. No line that a soft line break begins starts with two dashes, so that no
    delimiter of a multipart around it comes about."""

    def __init__(self) -> None:
        self._held = b""
        self._is_soft = False  #  what was said last ends in a soft line break

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece
        cut = data.rfind(b"\r\n") + 2
        if cut >= 2:
            self._held = data[cut:]
            return self._guarded(b2a_qp(data[:cut]), False)
        if len(data) < _LONGEST_LINE:
            self._held = data
            return b""
        #  The last octet may be the CR of a line end.
        self._held = data[-1:]
        return self._guarded(b2a_qp(data[:-1] + b"\r\n")[:-2] + _SOFT, True)

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return self._guarded(b2a_qp(held + b"\r\n")[:-2], False) if held else b""

    def _guarded(self, encoded: bytes, is_soft: bool) -> bytes:
        if self._is_soft:
            encoded = _SOFT + encoded
        while b"=\r\n--" in encoded:
            encoded = encoded.replace(b"=\r\n--", b"=\r\n=2D-=\r\n")
        if self._is_soft:
            encoded = encoded[len(_SOFT) :]
        self._is_soft = is_soft
        return encoded


class Base64:
    """No line end behind the last line."""

    def __init__(self) -> None:
        self._held = b""
        self._is_first = True

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece
        cut = len(data) - len(data) % _LINE_OCTETS
        self._held = data[cut:]
        return self._lines(data[:cut])

    def finish(self) -> bytes:
        return self._lines(self._held)

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        letters = b2a_base64(data, newline=False)
        lines = b"\r\n".join([letters[at : at + 76] for at in range(0, len(letters), 76)])
        if self._is_first:
            self._is_first = False
            return lines
        return b"\r\n" + lines


class Blanked:
    """For what no reader shows (RFC 2046 §5.1.1): each octet beyond ASCII becomes a question mark."""

    _TABLE = bytes(range(128)) + b"?" * 128

    def feed(self, piece: bytes) -> bytes:
        return piece.translate(self._TABLE)

    def finish(self) -> bytes:
        return b""


class Instead:
    """Something else in its place."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def feed(self, piece: bytes) -> bytes:
        return b""

    def finish(self) -> bytes:
        return self._octets
