"""A message with its signatures on top: nothing of it is copied. Satisfies shared.mail.content.Content."""

from __future__ import annotations

from collections.abc import Iterator

from shared.mail.content import Content, SevenBit


class Signed:
    """`signatures` are whole fields; `words` say for the trail whose they are."""

    def __init__(self, content: Content, signatures: bytes, words: str = "") -> None:
        self.words = words
        self._content = content
        self._signatures = signatures

    @property
    def size(self) -> int:
        return len(self._signatures) + self._content.size

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        held = self._signatures
        for chunk in self._content.chunks(size):
            held += chunk
            yield held[:size]
            held = held[size:]
        while held:
            yield held[:size]
            held = held[size:]

    def head(self) -> bytes:
        return self._signatures + self._content.head()


class SevenBitSigned(Signed, SevenBit):
    """ASCII from end to end, as what was signed."""


def with_signatures(content: Content, signatures: bytes, words: str = "") -> Signed:
    kind = SevenBitSigned if isinstance(content, SevenBit) else Signed
    return kind(content, signatures, words)
