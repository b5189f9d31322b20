"""A secret: text that no log line, traceback or repr shows.

It is a wrapper and no kind of str, so that joining or formatting it by accident shows `***`, never the text. Where
secrets are kept and who may read them is not said here.
"""

from __future__ import annotations

import hmac

MASK = "***"


class Secret:
    """`reveal()` is the only way to the text; search for it to see everyone who looks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """In constant time, so that how long a comparison takes says nothing about the text."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not written to anywhere")
