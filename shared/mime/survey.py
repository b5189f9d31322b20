"""What must change in a message before a server of fewer means can take it, or why it must not change.

One walk over the message: parts are found, counted and judged, in bounded memory whatever they hold. What comes out
is a list of `Edit`s; whatever is in none of them stays as it is, octet by octet. Text that comes with no MIME at all
is labelled (tally.py says how); parts that name their type keep it. Signatures: what DKIM or a multipart/signed signs
would be another thing afterwards, so such mail is never converted; an opaque S/MIME or PGP body only gets a coat of
base64, and inline signatures survive, as decoding gives the same octets. Not here: the conversion (fitted.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from shared.mail.content import Content
from shared.mail.field import split_fields
from shared.mail.lacks import Lacks
from shared.mail.reply import Reply, printable
from shared.mime.ascii_header import Unsound, ascii_header
from shared.mime.encoding import Base64, Blanked, Encoder, Instead, QuotedPrintable
from shared.mime.media_type import Doubtful, MediaType, read_media_type
from shared.mime.tally import Tally
from shared.mime.window import LineTooLong, Window

DEEPEST = 100  #  parts inside parts
MOST_PARTS = 1000
LONGEST_HEADER = 1 << 20  #  octets, of all parts together
_ENCODING = b"content-transfer-encoding"
_LIKE_ENCODED = re.compile(rb"=[0-9A-Fa-f]{2}")


class MustNotChange(Exception):
    """The message cannot be given to that server; `reply` is for the sender."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(slots=True)
class Edit:
    """`octets` from `start` go through an encoder of their own; `make` makes one."""

    start: int
    octets: int
    make: Callable[[], Encoder]


@dataclass(slots=True, eq=False)
class _Part:
    """`message` is the message that it is in: itself, if it begins with a message's header."""

    start: int
    header: bytes
    type: MediaType
    message: _Part | None = None
    in_report: bool = False
    needs_mime: bool = False
    charset: str = ""
    encoding: str = ""
    body: Edit | None = None


@dataclass(slots=True)
class _Level:
    delimiter: bytes
    part: _Part


@dataclass(slots=True)
class _Survey:
    window: Window
    lacks: Lacks
    parts: list[_Part] = field(default_factory=list)
    levels: list[_Level] = field(default_factory=list)
    blanks: list[Edit] = field(default_factory=list)
    header_octets: int = 0

    # -- the walk --------------------------------------------------------------------------------------------------

    def walk(self) -> None:
        line = self._part(None)
        while line is not None:
            self.window.consume(len(line))
            name = line.rstrip(b"\r\n \t")[2:]
            is_end = self._close(name)
            line = self._between() if is_end else self._part(self.levels[-1].part)

    def _close(self, name: bytes) -> bool:
        """A delimiter line; whether it is the last of its multipart."""
        for number in range(len(self.levels) - 1, -1, -1):
            delimiter = self.levels[number].delimiter
            if name in (delimiter, delimiter + b"--"):
                del self.levels[number + 1 :]
                if name == delimiter:
                    return False
                del self.levels[number]
                return True
        raise AssertionError("a delimiter of nothing")

    @property
    def _delimiters(self) -> list[bytes]:
        return [level.delimiter for level in self.levels]

    def _part(self, parent: _Part | None) -> bytes | None:
        """A part from its header to its end. The delimiter line behind it."""
        part, line, has_body = self._begin(parent, is_message=parent is None)
        while has_body and self._is_enclosed(part):
            part, line, has_body = self._begin(part, is_message=True)
        if not has_body:
            return line
        kind = part.type
        if kind.main == "multipart" and not (kind.sub == "signed" and not part.in_report):
            if not kind.is_identity:
                return self._opaque(part)
            self.levels.append(_Level(kind.boundary, part))
            return self._between(before_first=True)
        return self._opaque(part) if kind.main == "multipart" else self._leaf(part)

    def _is_enclosed(self, part: _Part) -> bool:
        kind = part.type
        return kind.main == "message" and kind.sub in ("rfc822", "news") and kind.is_identity

    def _begin(self, parent: _Part | None, is_message: bool) -> tuple[_Part, bytes | None, bool]:
        """The header of a part. With it: the delimiter that cuts it short, and whether there is a body."""
        start, lines, size = self.window.place, [], 0
        is_one = {b"--" + d + end for d in self._delimiters for end in (b"", b"--")}
        has_body, cut = False, None
        while (line := self.window.line()) is not None:
            if is_one and line.startswith(b"--") and line.rstrip(b"\r\n \t") in is_one:
                cut = line
                break
            self.window.consume(len(line))
            lines.append(line)
            size += len(line)
            if size + self.header_octets > LONGEST_HEADER:
                raise Doubtful("its headers are too long")
            if line == b"\r\n":
                has_body = True
                break
        self.header_octets += size
        part = self._part_of(parent, start, b"".join(lines), is_message)
        return part, cut, has_body

    def _part_of(self, parent: _Part | None, start: int, header: bytes, is_message: bool) -> _Part:
        if len(self.parts) >= MOST_PARTS or len(self.levels) >= DEEPEST:
            raise Doubtful("it has too many parts")
        in_digest = parent is not None and not is_message and parent.type.sub == "digest"
        kind = read_media_type(header, ("message", "rfc822") if in_digest else ("text", "plain"))
        part = _Part(start, header, kind)
        part.message = part if is_message or parent is None else parent.message
        part.in_report = parent is not None and (parent.in_report or (is_message and self._is_report()))
        self.parts.append(part)
        return part

    def _is_report(self) -> bool:
        """What a report encloses is a copy for people: no signature in it counts any more."""
        return any(level.part.type.sub == "report" for level in self.levels)

    # -- bodies ----------------------------------------------------------------------------------------------------

    def _tally(self) -> tuple[Tally, int, bytes | None]:
        tally = Tally(self.lacks.binary)
        start = self.window.place
        line = self.window.body(self._delimiters, tally.feed)
        return tally, start, line

    def _is_unfit(self, tally: Tally) -> bool:
        return (self.lacks.eight_bit and tally.eight_bit > 0) or (self.lacks.binary and tally.is_bad_binary)

    def _between(self, before_first: bool = False) -> bytes | None:
        """What stands before the first part and behind the last; no reader shows it."""
        tally, start, line = self._tally()
        if self._is_unfit(tally):
            if before_first and (line is None or line.rstrip(b"\r\n \t")[2:] != self.levels[-1].delimiter):
                raise Doubtful("a multipart in it has no parts")
            if self.lacks.binary and tally.is_bad_binary:
                raise Doubtful("there are octets that are no text between its parts")
            self.blanks.append(Edit(start, tally.size, Blanked))
        return line

    def _opaque(self, part: _Part) -> bytes | None:
        tally, _, line = self._tally()
        if self._is_unfit(tally):
            if part.type.sub == "signed":
                raise MustNotChange(_signed(self.lacks, "multipart/signed"))
            raise Doubtful(f"a {part.type.main}/{part.type.sub} in it claims to be {part.type.encoding}")
        return line

    def _leaf(self, part: _Part) -> bytes | None:
        tally, start, line = self._tally()
        kind = part.type
        is_binary = self.lacks.binary and kind.encoding == "binary"
        if not tally.size or not (self._is_unfit(tally) or is_binary):
            return line
        if not kind.is_identity:
            raise Doubtful(f"a part claims to be {printable(kind.encoding)} and is not")
        if kind.main == "message" and not kind.sub.startswith("global"):
            raise Doubtful(f"a message/{kind.sub} in it is not ASCII, and may not be encoded")
        is_text = kind.main in ("text", "message") and not tally.is_bad_binary and tally.is_mostly_ascii
        encoder: Callable[[], Encoder]
        #  A delimiter that looks like encoded octets could come about in quoted-printable text.
        if is_text and not any(map(_LIKE_ENCODED.search, self._delimiters)):
            part.encoding, encoder = "quoted-printable", QuotedPrintable
        else:
            part.encoding, encoder = "base64", Base64
        part.body = Edit(start, tally.size, encoder)
        part.charset = tally.charset if not kind.is_given and kind.main == "text" and tally.eight_bit else ""
        assert part.message is not None
        part.message.needs_mime = True
        return line

    # -- what came of it -------------------------------------------------------------------------------------------

    def edits(self) -> list[Edit]:
        """In the order of the message; none when it may stay as it is."""
        headers = [self._new_header(part) for part in self.parts]
        is_fit = all(new is part.header for new, part in zip(headers, self.parts, strict=True))
        if is_fit and not self.blanks:
            return []
        edits = [*self.blanks, *(part.body for part in self.parts if part.body is not None)]
        for part, header in zip(self.parts, headers, strict=True):
            header = self._relabelled(part, header)
            if header is not part.header:
                edits.append(Edit(part.start, len(part.header), partial(Instead, header)))
        return sorted(edits, key=lambda edit: edit.start)

    def _new_header(self, part: _Part) -> bytes:
        """The same object if nothing changes."""
        header = part.header
        if self.lacks.utf8_header and not header.isascii():
            header = ascii_header(header, part.in_report)
        wants_version = part.needs_mime and part.message is part and not has_field(header, b"mime-version")
        if not (part.encoding or wants_version):
            return header
        fields = [each.raw for each in split_fields(header) if not (part.encoding and each.name == _ENCODING)]
        if wants_version:
            fields.append(b"MIME-Version: 1.0\r\n")
        if part.charset:
            fields.append(b"Content-Type: text/plain; charset=%b\r\n" % part.charset.encode())
        if part.encoding:
            fields.append(b"Content-Transfer-Encoding: %b\r\n" % part.encoding.encode())
        return b"".join([*fields, b"\r\n"])

    def _relabelled(self, part: _Part, header: bytes) -> bytes:
        """A multipart or an enclosed message may not say that it holds more than it does (RFC 2045 §6.4)."""
        too_much = ("8bit", "binary") if self.lacks.eight_bit else ("binary",)
        is_composite = part.type.main == "multipart" or self._is_enclosed(part)
        if not is_composite or part.type.encoding not in too_much or (not self.lacks.binary and len(too_much) == 1):
            return header
        label = b"7bit" if self.lacks.eight_bit else b"8bit"
        new = b"Content-Transfer-Encoding: %b\r\n" % label
        return b"".join([*(new if each.name == _ENCODING else each.raw for each in split_fields(header)), b"\r\n"])


def has_field(header: bytes, name: bytes) -> bool:
    return any(each.name == name for each in split_fields(header))


def _signed(lacks: Lacks, how: str) -> Reply:
    """RFC 3463 §3.7: conversion required and prohibited."""
    return Reply(554, "5.6.2", f"{lacks}, and the message is signed ({how}): a conversion would break the signature")


def survey(content: Content, lacks: Lacks) -> list[Edit]:
    """Empty when the message may go as it is. Raises MustNotChange, and OSError when it cannot be read."""
    if not lacks.binary and all(chunk.isascii() for chunk in content.chunks()):
        return []
    walk = _Survey(Window(content.chunks()), lacks)
    try:
        walk.walk()
        edits = walk.edits()
    except Unsound as error:
        raise MustNotChange(Reply(554, "5.6.9", f"{lacks}, and {error}")) from None
    except Doubtful as error:
        if not (lacks.eight_bit or lacks.binary) and content.head().isascii():
            return []  #  only a header inside of it could be UTF-8, if it has one
        raise MustNotChange(Reply(554, "5.6.5", f"{lacks}, and the message cannot be converted: {error}")) from None
    except LineTooLong:
        raise MustNotChange(Reply(554, "5.6.5", f"{lacks}, and a line of its header is too long")) from None
    if edits and has_field(walk.parts[0].header, b"dkim-signature"):
        raise MustNotChange(_signed(lacks, "DKIM"))
    return edits
