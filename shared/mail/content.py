"""The bytes of a message, as those who carry it need them; where they are kept is not said here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Content(Protocol):
    """A message in wire form: header and body, CRLF line ends, not dot-stuffed, our Received field included.

    The spool's own fields (Mercury-*) are not part of it.
    """

    @property
    def size(self) -> int:
        """Octets in all."""

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """The message from its beginning, in pieces of at most `size` octets. Raises OSError."""

    def head(self) -> bytes:
        """The header section with the empty line that ends it. Raises OSError."""


class BytesContent:
    """A message held in memory: a bounce under construction, or a test's."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    @property
    def size(self) -> int:
        return len(self._message)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        for start in range(0, len(self._message), size):
            yield self._message[start : start + size]

    def head(self) -> bytes:
        end = self._message.find(b"\r\n\r\n")
        return self._message if end < 0 else self._message[: end + 4]


class SevenBit:
    """Marks a content that is known to be ASCII from end to end: nobody looks again."""
