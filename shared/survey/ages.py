"""The steps of age in which a queue is counted. Pure."""

from __future__ import annotations

from bisect import bisect_right

#  The upper bound of each step in seconds; the last step has none.
BOUNDS = (300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0)
LABELS = ("to 5 min", "to 15 min", "to 1 h", "to 4 h", "to 1 day", "to 3 days", "older")


def step_of(age: float) -> int:
    return bisect_right(BOUNDS, max(age, 0.0))
