"""A window that moves over a message from its beginning to its end: lines, and delimiters of multiparts (RFC 2046
§5.1.1). It holds one piece of the message and what is not yet consumed, never more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

#  A line of a header longer than this is not waited for.
LONGEST_LINE = 1 << 17


class LineTooLong(ValueError):
    pass


class Window:
    """`place` is where it stands in the message, in octets."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._data = b""
        self._at = 0
        self._is_end = False
        self.place = 0

    def line(self) -> bytes | None:
        """The line that begins here, with its line end, not consumed; None at the end of the message."""
        searched = self._at
        while (end := self._data.find(b"\r\n", searched)) < 0:
            searched = max(0, len(self._data) - self._at - 1)
            if len(self._data) - self._at > LONGEST_LINE:
                raise LineTooLong
            if not self._more():
                return self._data[self._at :] or None
        return self._data[self._at : end + 2]

    def consume(self, octets: int) -> None:
        self._at += octets
        self.place += octets

    def body(self, delimiters: Sequence[bytes], feed: Callable[[bytes], None]) -> bytes | None:
        """Consume what stands before the next line that is one of `delimiters` (with two dashes in front, and perhaps
        two behind), and give it to `feed`; the line end before that line belongs to it. The delimiter line comes
        back, not consumed. None: the message ends here."""
        if not delimiters:
            self._rest(feed)
            return None
        is_one = frozenset([d for delimiter in delimiters for d in (b"--" + delimiter, b"--" + delimiter + b"--")])
        first = self._peek_line()
        if first.rstrip(b"\r\n \t") in is_one:
            return first
        search = re.compile(rb"\r\n--(?:%b)" % b"|".join(map(re.escape, delimiters))).search
        longest = max(map(len, delimiters)) + 6
        while True:
            found = search(self._data, self._at)
            if found is None:
                self._give(max(0, len(self._data) - self._at - longest), feed)
                if not self._more():
                    self._rest(feed)
                    return None
                continue
            self._give(found.start() - self._at, feed)
            line = self._peek_line(2)
            if line.rstrip(b"\r\n \t") in is_one:
                self.consume(2)
                return line
            self._give(2, feed)

    def _peek_line(self, ahead: int = 0) -> bytes:
        """Up to a kilobyte of the line that begins `ahead` of here."""
        while (end := self._data.find(b"\r\n", self._at + ahead)) < 0:
            if len(self._data) - self._at > 1024 or not self._more():
                end = len(self._data) - 2
                break
        return self._data[self._at + ahead : end + 2]

    def _give(self, octets: int, feed: Callable[[bytes], None]) -> None:
        if octets:
            feed(self._data[self._at : self._at + octets])
            self.consume(octets)

    def _rest(self, feed: Callable[[bytes], None]) -> None:
        self._give(len(self._data) - self._at, feed)
        while self._more():
            self._give(len(self._data) - self._at, feed)

    def _more(self) -> bool:
        if self._is_end:
            return False
        piece = next(self._pieces, b"")
        self._is_end = not piece
        self._data = self._data[self._at :] + piece if self._at < len(self._data) else piece
        self._at = 0
        return not self._is_end
