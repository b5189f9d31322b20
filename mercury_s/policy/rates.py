"""A token bucket in one number: when the bucket would be full again (the generic cell rate algorithm).

The time and the number come in, the new number goes out; who is counted, and where, is mercury_s/meters.py.
"""

from __future__ import annotations

from shared.config.rate import Rate

#  Waits below this are the dirt of floating point.
_NOTHING = 1e-6


def draw(rate: Rate, due: float, now: float, amount: int = 1) -> tuple[float, float]:
    """Take `amount` from a bucket that would be full at `due`. The new `due`, and 0; or the old one, and how many
    seconds too early it is. What is more than a whole bucket is never granted at once, so it is taken as a bucket."""
    start = max(due, now)
    later = start + rate.seconds * min(amount, rate.count) / rate.count
    wait = later - now - rate.seconds
    return (due, wait) if wait > _NOTHING else (later, 0.0)
