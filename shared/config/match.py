"""What a filter compares with: a pattern with `*` and `?`, or a regular expression between slashes.

Here: the grammar and its compiling, once, when the file is read. Not here: what is compared with it
(mercury_s/policy/filters.py).
"""

from __future__ import annotations

import re

from shared.config.problem import shown
from shared.config.scalars import parse_text
from shared.mail.record import dataclass

_FLAGS = re.IGNORECASE | re.DOTALL
_LONGEST = 500  #  characters


@dataclass(frozen=True, slots=True)
class Match:
    """`text` as it was written; `pattern` is searched for, without regard to case."""

    text: str
    pattern: re.Pattern[str]

    def __str__(self) -> str:
        return self.text


def parse_match(value: object) -> Match:
    """`*.dyn.example` compares the whole, `/^dyn[0-9]+/` searches in it."""
    if isinstance(value, Match):
        return value
    text = parse_text(value)
    if len(text) > _LONGEST:
        raise ValueError(f"the pattern is longer than {_LONGEST} characters")
    if not text.startswith("/"):
        return Match(text, re.compile(_from_glob(text), _FLAGS))
    if len(text) < 3 or not text.endswith("/"):
        raise ValueError(f"{shown(text)}: a regular expression stands between two slashes, like '/^dyn[0-9]/'")
    try:
        return Match(text, re.compile(text[1:-1], _FLAGS))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(text)} is no regular expression: {error}")


def _from_glob(text: str) -> str:
    """The first place where a middle part fits is taken for good (`(?>`): trying all of them could take for ever."""
    parts = [re.escape(part).replace(r"\?", ".") for part in text.split("*")]
    if len(parts) == 1:
        return rf"\A{parts[0]}\Z"
    middle = "".join(f"(?>.*?{part})" for part in parts[1:-1] if part)
    return rf"\A{parts[0]}{middle}.*{parts[-1]}\Z"
