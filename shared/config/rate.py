"""A rate: how much of something in how much time, as in `60/1m`. A value; what is counted by it is not known here."""

from __future__ import annotations

import re
from typing import Annotated

from shared.config.problem import shown
from shared.config.scalars import parse_duration
from shared.config.setting import Parsed
from shared.mail.record import dataclass

_RATE = re.compile(r"([0-9]{1,8})\s*/\s*([0-9].*|ms|[smhdw])\Z")


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` within `seconds`: so much at once, and as much again after that time."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds:g}s"


def parse_rate(value: object) -> Rate:
    """60/1m, 1000/1h, 5/s."""
    if isinstance(value, Rate):
        return value
    found = _RATE.match(value) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{shown(value)} is no rate: write a number and a time, like 60/1m or 1000/1h")
    time = found[2]
    return Rate(int(found[1]), parse_duration(time if time[0].isdigit() else f"1{time}"))


Frequency = Annotated[Rate, Parsed(parse_rate)]
