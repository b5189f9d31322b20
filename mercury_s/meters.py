"""Meters: how often somebody came, wrote, failed. One number for each, the longest unseen forgotten first.

Not here: what a rate means (policy/rates.py), what follows from too much (throttle.py, porter.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from mercury_s.policy.rates import draw
from mercury_s.tally import Tally
from shared.config.rate import Rate

_KEPT = 20_000


class Meter:
    """One rate, for everybody by their own key."""

    __slots__ = ("_clock", "_due", "rate")

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def wait(self, key: str, amount: int = 1) -> float:
        """How many seconds too early it would be; 0 when `draw` would grant it."""
        return draw(self.rate, self._due.get(key, 0.0), self._clock(), amount)[1]

    def draw(self, key: str, amount: int = 1) -> float:
        """As `wait`; and what is granted is counted."""
        due, wait = draw(self.rate, self._due.get(key, 0.0), self._clock(), amount)
        self._due[key] = due
        self._due.move_to_end(key)
        if len(self._due) > _KEPT:
            self._due.popitem(last=False)
        return wait

    def forget(self, key: str) -> None:
        self._due.pop(key, None)


class SharedMeter:
    """The same for all workers together, in windows: what is counted is forgotten after the rate's time."""

    __slots__ = ("_name", "_tally", "rate")

    def __init__(self, rate: Rate, tally: Tally, name: str) -> None:
        self.rate = rate
        self._tally = tally
        self._name = name

    def wait(self, key: str, amount: int = 1) -> float:
        """When the window ends is not known here: at the latest after its length."""
        taken = self._tally.total(f"{self._name} {key}")
        return self.rate.seconds if taken and taken + amount > self.rate.count else 0.0

    def draw(self, key: str, amount: int = 1) -> float:
        wait = self.wait(key, amount)
        if not wait:
            self._tally.add(f"{self._name} {key}", amount, self.rate.seconds)
        return wait

    def forget(self, key: str) -> None:
        self._tally.forget(f"{self._name} {key}")


AnyMeter = Meter | SharedMeter


def renew(
    old: AnyMeter | None, rate: Rate | None, clock: Callable[[], float], tally: Tally | None, name: str
) -> AnyMeter | None:
    """The meter for `rate`; the old one with all its counts if the rate is the same. With a `tally` the workers
    count together."""
    if rate is None:
        return None
    if old is not None and old.rate == rate:
        return old
    return Meter(rate, clock) if tally is None else SharedMeter(rate, tally, name)
