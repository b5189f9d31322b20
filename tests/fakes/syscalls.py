"""The system calls of maildir and spool, counted: the n-th one fails, is short, or is the last thing the process does.

A crash is a BaseException: no cleanup for errors may catch it, just as no cleanup runs after SIGKILL. Everything is on
the file system as the calls before it left it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

CHANGING = (
    "open", "write", "writev", "pwrite", "fsync", "close", "rename", "unlink", "utime", "mkdir",
)  # fmt: skip
READING = ("read", "pread", "fstat", "scandir", "lseek")


class CrashNow(BaseException):
    """The process is dead from here on."""


class Calls:
    """Counts calls; before the one numbered `at` (from 1) it does `act` instead. `made` are the names so far."""

    def __init__(self, at: int, act: Callable[[str], None]) -> None:
        self.at = at
        self.act = act
        self.made: list[str] = []

    def wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.made.append(name)
            if len(self.made) != self.at:
                return real(*args, **kwargs)
            if name == "close":
                real(*args)
            self.act(name)
            raise AssertionError("the act must raise")

        return call


@contextmanager
def spied(at: int, act: Callable[[str], None], names: tuple[str, ...] = CHANGING) -> Iterator[Calls]:
    """Within, the calls of `names` are counted, and the `at`-th one does `act` first."""
    calls = Calls(at, act)
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(os, name, calls.wrap(name, getattr(os, name)))
        yield calls


def crash(name: str) -> None:
    raise CrashNow(name)


def failing(number: int) -> Callable[[str], None]:
    """An `act` that fails with errno `number`. A failing close has closed, as in Linux."""

    def act(name: str) -> None:
        raise OSError(number, os.strerror(number))

    return act
