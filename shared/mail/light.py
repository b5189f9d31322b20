"""Values that cost little to make: dataclasses that are frozen for the type checker, and at run time only by habit.

A frozen dataclass sets each field by a call of its own: 1 µs for seven of them, where 0.2 are enough, and a small
message makes some twenty values. Nobody assigns to a field: mypy says so before anything runs, as of every frozen
dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def light(value: type[_Value]) -> type[_Value]:
    """Above `@dataclass(frozen=True, slots=True)`, for what is made for each command, message or connection."""
    kind: Any = value
    checks = {"__post_init__": kind.__post_init__} if hasattr(kind, "__post_init__") else {}
    again = [(one.name, Any, _again(one)) for one in fields(kind)]
    plain = make_dataclass("plain", again, namespace=checks, repr=False, eq=False)
    kind.__init__ = vars(plain)["__init__"]
    del kind.__setattr__, kind.__delattr__
    return value


def _again(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return field(default=one.default)
    return field(default_factory=one.default_factory) if one.default_factory is not MISSING else field()
