"""What a body is made of, counted piece by piece at the speed of searches in C."""

from __future__ import annotations

import codecs

#  RFC 5322 §2.1.1, without the line end.
LONGEST_LINE = 998
_ASCII = bytes(range(128))


class Tally:
    """`counts_lines`: also look for lines too long, which only a binary body may have."""

    def __init__(self, counts_lines: bool) -> None:
        self.size = 0
        self.eight_bit = 0  #  octets beyond ASCII
        self.has_bad_lines = False  #  NUL, a CR or LF of its own, a line too long
        self._equals = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._counts_lines = counts_lines
        self._ends_in_cr = False
        self._line = 0

    def feed(self, piece: bytes) -> None:
        if not piece:
            return
        self.size += len(piece)
        if not piece.isascii():
            self.eight_bit += len(piece.translate(None, _ASCII))
        self._equals += piece.count(b"=")
        if self._is_utf8:
            try:
                self._utf8.decode(piece)
            except UnicodeDecodeError:
                self._is_utf8 = False
        if self._counts_lines and not self.has_bad_lines:
            self._look_at_lines(piece)

    def _look_at_lines(self, piece: bytes) -> None:
        joined = b"\r" + piece if self._ends_in_cr else piece
        self._ends_in_cr = joined.endswith(b"\r")
        whole = joined[:-1] if self._ends_in_cr else joined
        lines = whole.split(b"\r\n")
        is_too_long = self._line + len(lines[0]) > LONGEST_LINE or max(map(len, lines)) > LONGEST_LINE
        self._line = len(lines[-1]) + (self._line if len(lines) == 1 else 0)
        feeds = len(lines) - 1
        self.has_bad_lines = (
            is_too_long or whole.count(b"\n") != feeds or whole.count(b"\r") != feeds or b"\0" in whole
        )

    @property
    def is_bad_binary(self) -> bool:
        return self.has_bad_lines or self._ends_in_cr

    @property
    def charset(self) -> str:
        """For text that names none: valid UTF-8 beyond ASCII is hardly ever anything else; of the rest nothing is
        known, and RFC 1428 has a name for that."""
        if self._is_utf8:
            try:
                self._utf8.decode(b"", True)
                return "utf-8"
            except UnicodeDecodeError:
                pass
        return "unknown-8bit"

    @property
    def is_mostly_ascii(self) -> bool:
        """Quoted-printable is shorter than base64, or not much longer and can be read as it is."""
        return (self.eight_bit + self._equals) * 2 * 8 <= self.size * 3 + 300
