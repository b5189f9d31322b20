"""The memory of next hops that did not answer: for some seconds nobody tries them again.

Without it, a dead smarthost would cost every queued message its own attempt to connect. Time and chance come in as
arguments. The pauses are scattered, so that hosts that failed together (a line was down) are not all tried together
again and again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")

FIRST = 5.0
LONGEST = 60.0
#  A pause is up to so much shorter or longer.
JITTER = 0.2
MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Failure(Generic[W]):
    why: W
    until: float
    length: float


class BackOff(Generic[K, W]):
    """Each failure in a row doubles the pause; one success ends it."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._failures: dict[K, _Failure[W]] = {}

    def note_failure(self, key: K, why: W) -> None:
        now = self._clock()
        known = self._failures.get(key)
        if known is None and len(self._failures) >= MOST_REMEMBERED:
            self._failures = {k: failure for k, failure in self._failures.items() if failure.until > now}
        length = FIRST if known is None else min(known.length * 2, LONGEST)
        scattered = length * (1 - JITTER + 2 * JITTER * self._chance())
        self._failures[key] = _Failure(why, now + scattered, length)

    def note_success(self, key: K) -> None:
        self._failures.pop(key, None)

    def relent(self) -> None:
        """Who is remembered may be tried at once; one who fails again waits for longer, as before."""
        for failure in self._failures.values():
            failure.until = 0.0

    def recall(self, key: K) -> W | None:
        """Why `key` is not to be tried now; None when it may be."""
        known = self._failures.get(key)
        return known.why if known is not None and self._clock() < known.until else None
