"""Values of the configuration as a person would write them: 50M, 1h30m, a, b. What reads such words is scalars.py."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, get_args

from shared.config.setting import Field, Parsed

_SIZES = ((40, "T"), (30, "G"), (20, "M"), (10, "K"))
#  In thousandths of a second, so that no fraction is left.
_SPANS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


class Unit(StrEnum):
    """What a number of the configuration counts."""

    NONE = ""
    SIZE = "size"
    DURATION = "duration"


_PARSERS = {"parse_size": Unit.SIZE, "parse_quota": Unit.SIZE, "parse_duration": Unit.DURATION}


def unit_of(field: Field) -> Unit:
    """By the parser of the field, or that of what a list or `| None` in it holds."""
    waiting: list[Any] = [field.annotation]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Parsed):
            if found := _PARSERS.get(part.parse.__name__):
                return found
        else:
            waiting += [*getattr(part, "__metadata__", ()), *get_args(part)]
    return Unit.NONE


def as_written(value: Any, unit: Unit = Unit.NONE) -> str:
    """`value` in words; read again, it is the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        return ", ".join(as_written(item, unit) for item in value) if value else "[]"
    if isinstance(value, (int, float)) and unit is Unit.SIZE:
        return _size(int(value))
    if isinstance(value, (int, float)) and unit is Unit.DURATION:
        return _duration(value)
    return str(value)


def _size(octets: int) -> str:
    """In the largest unit that divides it."""
    shift, letter = next(((s, name) for s, name in _SIZES if octets and octets % (1 << s) == 0), (0, ""))
    return f"{octets >> shift}{letter}"


def _duration(seconds: float) -> str:
    left, text = round(seconds * 1000), ""
    for size, name in _SPANS:
        count, left = divmod(left, size)
        text += f"{count}{name}" if count else ""
    return text or "0s"
