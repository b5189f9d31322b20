"""Waiting with a deadline: a condition is asked again until it holds, and never for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(condition: Callable[[], Value], seconds: float = 20, what: str = "") -> Value:
    """The first true value of `condition`; an AssertionError when there is none within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(
                f"not within {seconds:g} s: {what or condition.__doc__ or condition!r} (last: {value!r})"
            )
        time.sleep(0.02)


def stays(condition: Callable[[], object], seconds: float = 1.5, what: str = "") -> None:
    """For things that must not happen: `condition` holds now and at every look for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what or condition
        time.sleep(0.05)
