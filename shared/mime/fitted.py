"""A message as a server of fewer means can take it: converted while it is read, nothing kept (RFC 6152 §3).

Here: the edits of a survey applied, in bounded memory. Not here: what is to be edited (survey.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.mail.content import Content, SevenBit
from shared.mail.envelope import Body, Envelope
from shared.mail.lacks import Lacks
from shared.mime.encoding import Base64, Blanked, QuotedPrintable
from shared.mime.survey import Edit, survey

_NEVER = Edit(1 << 62, 0, Blanked)


class Fitted:
    """`content` with `edits` made; each is made anew whenever it is read."""

    def __init__(self, content: Content, edits: Sequence[Edit]) -> None:
        self._content = content
        self._edits = edits
        self.size = sum(map(len, self._pieces())) if edits else content.size

    @property
    def is_changed(self) -> bool:
        return bool(self._edits)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        held = b""
        for piece in self._pieces():
            held += piece
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
        if held:
            yield held

    def head(self) -> bytes:
        head = b""
        for chunk in self.chunks():
            head += chunk
            if (end := head.find(b"\r\n\r\n")) >= 0:
                return head[: end + 4]
        return head

    def _pieces(self) -> Iterator[bytes]:
        place, last = 0, b""
        waiting = iter(self._edits)
        edit = next(waiting, _NEVER)
        encoder = edit.make()
        for chunk in self._content.chunks():
            at = 0
            last = chunk[-2:] if len(chunk) > 1 else last[-1:] + chunk
            while place + len(chunk) > edit.start:
                if (before := edit.start - place) > at:
                    yield chunk[at:before]
                    at = before
                end = min(edit.start + edit.octets - place, len(chunk))
                yield encoder.feed(chunk[at:end])
                at = end
                if place + end < edit.start + edit.octets:
                    break
                yield encoder.finish()
                edit = next(waiting, _NEVER)
                encoder = edit.make()
            else:
                yield chunk[at:]
            place += len(chunk)
        if self._edits and self._edits[-1].start + self._edits[-1].octets == place:
            yield _closing(self._edits[-1], last)


def _closing(edit: Edit, last: bytes) -> bytes:
    """The message ends in this encoded body, and must end in a line end that is not part of what is encoded."""
    if edit.make is Base64:
        return b"\r\n"
    return b"=\r\n" if edit.make is QuotedPrintable and last != b"\r\n" else b""


class SevenBitFitted(Fitted, SevenBit):
    """ASCII from end to end."""


def fit(envelope: Envelope, content: Content, lacks: Lacks) -> tuple[Envelope, Fitted]:
    """The message for a server that lacks this. Raises MustNotChange, and OSError when it cannot be read."""
    edits = survey(content, lacks)
    utf8 = envelope.smtputf8 and not lacks.utf8_header
    if lacks.eight_bit:
        return replace(envelope, body=Body.SEVEN_BIT, smtputf8=utf8), SevenBitFitted(content, edits)
    body = Body.EIGHT_BIT if lacks.binary else envelope.body
    return replace(envelope, body=body, smtputf8=utf8), Fitted(content, edits)
