"""A message as it goes over the wire: line ends made CRLF, dots doubled, the end marked (RFC 5321 §4.5.2, RFC 3030).

Works on pieces of any size at the speed of bytes.find and bytes.replace; however a message is cut into pieces, the
same bytes come out. A bare CR or LF becomes CRLF, so that a line that one server would take for the end of data and
another would not never leaves here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.smtp.line_ends import DOT, has_dotted_line, has_only_crlf

END_OF_DATA = b".\r\n"


class LineEnds:
    """Every line end made CRLF: CRLF, bare LF and bare CR alike. The last line gets one if it has none."""

    def __init__(self) -> None:
        self._held = b""  #  a CR at the end of a piece, until the next piece says what follows it
        self._is_line_start = True

    def feed(self, piece: bytes) -> bytes:
        if self._held:
            piece = b"\r" + piece
            self._held = b""
        if piece.endswith(b"\r"):
            piece = piece[:-1]
            self._held = b"\r"
        if not piece:
            return piece
        if not has_only_crlf(piece):
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        self._is_line_start = piece.endswith(b"\n")
        return piece

    def finish(self) -> bytes:
        """What is still missing at the end of the message."""
        return b"\r\n" if self._held or not self._is_line_start else b""


class DotStuffer:
    """The message for DATA: line ends as in LineEnds, and a dot at the start of a line doubled."""

    def __init__(self) -> None:
        self._ends = LineEnds()
        self._is_line_start = True

    def feed(self, piece: bytes) -> bytes:
        piece = self._ends.feed(piece)
        if not piece:
            return piece
        starts_with_dot = self._is_line_start and piece.startswith(b".")
        self._is_line_start = piece.endswith(b"\n")
        if has_dotted_line(piece):
            piece = piece.replace(DOT, DOT + b".")
        return b"." + piece if starts_with_dot else piece

    def finish(self) -> bytes:
        """The last line end if it is missing, and the line with the single dot."""
        return self._ends.finish() + END_OF_DATA


def stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces for DATA, none of them empty; the end of data stands in the last one and only there."""
    return _behind(DotStuffer(), pieces)


def stuffed_whole(message: bytes) -> bytes:
    """As `stuffed`, of a message that is at hand in one piece."""
    if not message.endswith(b"\r\n") or not has_only_crlf(message):
        return b"".join(stuffed((message,)))
    if b"." in message:
        message = message.replace(b"\r\n.", b"\r\n..")
    return b".%b.\r\n" % message if message.startswith(b".") else message + END_OF_DATA


def with_line_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces for BDAT, which counts octets and stuffs nothing. One empty piece for an empty message."""
    return _behind(LineEnds(), pieces)


def as_it_is(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a binary message (RFC 3030 §3). One empty piece for an empty message."""
    empty = True
    for piece in pieces:
        if piece:
            empty = False
            yield piece
    if empty:
        yield b""


def _behind(encoder: LineEnds | DotStuffer, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """One piece late, so that what is missing at the end goes out together with the last octets."""
    ready = b""
    for piece in pieces:
        encoded = encoder.feed(piece)
        if not encoded:
            continue
        if ready:
            yield ready
        ready = encoded
    yield ready + encoder.finish()
