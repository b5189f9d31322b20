"""What is wrong in a configuration file, and where; all of it at once.

Here: the values that are shown. Not here: how a fault is found (yaml.py, reading.py, checks.py) and what is said of
it (words.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Line and column count from 1; line 0 means the file as a whole."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: error: {self.text}"


class ConfigErrors(Exception):
    """The file cannot be used. `str()` is every problem, one a line, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def shown(value: object, longest: int = 60) -> str:
    """A value as it may stand in an error: escaped, quoted, cut at `longest` characters."""
    text = ascii(str(value)) if isinstance(value, str) else ascii(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
