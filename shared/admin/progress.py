"""How far long work has come: one line on standard error. Nothing is said of work that is over in a moment.

On a terminal the line is rewritten in place and gone in the end; elsewhere (a pipe, a journal, cron) it is a plain
line now and then. Standard output is never touched, so what a program reads there stays whole.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

Value = TypeVar("Value")

#  Seconds until the first line, and from one to the next: on a terminal, and elsewhere.
AT_ONCE, REWRITTEN = 0.5, 0.2
PATIENT = 10.0
_ERASE = "\r\x1b[K"


class Progress:
    """`what` is being done, to so many things that `unit` names; `total` of them when that is known beforehand."""

    def __init__(
        self,
        what: str,
        unit: str = "entries",
        total: int | None = None,
        *,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._unit, self._total = what, unit, total
        self._out = out or sys.stderr
        self._clock = clock
        self._is_terminal = self._out.isatty()
        self._next = clock() + (AT_ONCE if self._is_terminal else PATIENT)
        self._is_shown = False
        self.done = 0

    def step(self) -> None:
        """One thing more is done."""
        self.done += 1
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (REWRITTEN if self._is_terminal else PATIENT)
        self._is_shown = self._is_terminal
        print(_ERASE + self._text() if self._is_terminal else self._text(), file=self._out, flush=True, end=self._end)

    def clear(self) -> None:
        """Make room for a line of something else; the next step may show ours again."""
        if self._is_shown:
            print(_ERASE, file=self._out, flush=True, end="")
            self._is_shown = False
            self._next = self._clock() + REWRITTEN

    def over(self, things: Iterable[Value]) -> Iterator[Value]:
        """The same things, each a step."""
        try:
            for thing in things:
                self.step()
                yield thing
        finally:
            self.clear()

    @property
    def _end(self) -> str:
        return "" if self._is_terminal else "\n"

    def _text(self) -> str:
        if self._total:
            return f"{self._what}: {self.done} of {self._total} {self._unit}"
        return f"{self._what}: {self.done} {self._unit}"
