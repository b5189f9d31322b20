"""What every group of settings is: frozen, closed, and aware of where it stood in the file; and what its fields are.

A group is declared by annotations, as a dataclass is. How one is made of what stands in the file is reading.py.
Ours, and no library's: every value is made by a parser of our own anyway, and a library of models was a fifth of the
memory of each daemon and a third of each start (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, get_origin, get_type_hints

from shared.config.yaml import Origin
from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Parsed:
    """Beside a type, as in `Annotated[int, Parsed(parse_size)]`: what makes a value of it of what was written.

    `parse` raises ValueError with words for the operator. `in_folder`: it is given the folder of the file, too.
    """

    parse: Callable[..., Any]
    in_folder: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """Beside a type: `check` takes the whole value and gives it back, or raises ValueError."""

    check: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Default:
    """A default that is read as if it stood in the file, so that its paths count from there too."""

    written: Any


class Setting:
    """A group of settings. Made by its constructor of values that are right already; what is left out has its
    default. Nothing is changed afterwards: `replaced` makes another."""

    _origin: Origin = Origin()
    _given: frozenset[str] = frozenset()

    def __init__(self, **values: Any) -> None:
        """Raises TypeError for a name that there is not, and for one that must be given and is not."""
        fields = fields_of(type(self))
        wrong = [name for name in values if name not in fields]
        wrong += [name for name, field in fields.items() if field.is_required and name not in values]
        if wrong:
            raise TypeError(f"{type(self).__name__}: {', '.join(wrong)}")
        self._fill(
            {name: values[name] if name in values else field.make_default() for name, field in fields.items()},
            Origin(),
            frozenset(values),
        )

    @classmethod
    def made(cls, values: Mapping[str, Any], origin: Origin, given: frozenset[str]) -> Self:
        """Of all values that the group has; for reading.py."""
        one = cls.__new__(cls)
        one._fill(values, origin, given)
        return one

    def _fill(self, values: Mapping[str, Any], origin: Origin, given: frozenset[str]) -> None:
        self.__dict__.update(values, _origin=origin, _given=given)

    @classmethod
    def complete(cls, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """What stands in the file, with what follows from it; for groups in which one setting follows another."""
        return written

    @property
    def origin(self) -> Origin:
        """Where the group stands in the file."""
        return self._origin

    @property
    def source(self) -> str:
        """`file:line` of the group, for reasons and logs; empty when it is all defaults."""
        return str(self._origin)

    @property
    def given(self) -> frozenset[str]:
        """The settings that were written, and did not come by default."""
        return self._given

    def replaced(self, **values: Any) -> Self:
        """The same but for these values, which must be right."""
        assert values.keys() <= fields_of(type(self)).keys(), values
        return self.made({**self._values(), **values}, self._origin, self._given | values.keys())

    def plain(self) -> dict[str, Any]:
        """As text, numbers, lists and dictionaries, as they could be written into the file."""
        return {name: plain_value(value) for name, value in self._values().items()}

    def _values(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in fields_of(type(self))}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: a configuration is not changed once it is read")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Setting) or type(self) is not type(other):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"


_REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    annotation: Any
    default: Any = _REQUIRED

    @property
    def is_required(self) -> bool:
        return self.default is _REQUIRED

    @property
    def is_section(self) -> bool:
        return isinstance(self.default, Default) and self.default.written == {}

    def make_default(self) -> Any:
        """Where there is no file: paths stay as they are."""
        if self.is_section:
            return {} if get_origin(self.annotation) is dict else self.annotation()
        return Path(self.default.written) if isinstance(self.default, Default) else self.default


_FIELDS: dict[type[Setting], Mapping[str, Field]] = {}


def fields_of(model: type[Setting]) -> Mapping[str, Field]:
    """In the order in which they are declared, those of the base first. Looked at once, when it is asked for."""
    if model not in _FIELDS:
        hints = get_type_hints(model, include_extras=True)
        names = [name for name in hints if not name.startswith("_")]
        assert not any(hasattr(Setting, name) for name in names), f"{model}: a setting with a name of Setting's own"
        found = {name: Field(name, hints[name], getattr(model, name, _REQUIRED)) for name in names}
        _FIELDS[model] = MappingProxyType(found)
    return _FIELDS[model]


def section() -> Any:
    """The default of a group inside a group: a group of defaults. A heading with nothing below it (`limits:`, all its
    lines commented out) is that, too."""
    return Default({})


def beside(name: str) -> Any:
    """The default of a file that is looked for beside the configuration."""
    return Default(name)


def plain_value(value: Any) -> Any:
    """As text, numbers, lists and dictionaries."""
    if isinstance(value, Setting):
        return value.plain()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {name: plain_value(below) for name, below in value.items()}
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
