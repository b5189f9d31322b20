"""What stands in a file → groups of settings, or every fault in it with its place.

The types of the fields say what is wanted: a group, a list (`tuple[X, ...]`), groups by name (`dict[str, X]`), a
value with its parser (`Annotated[int, Parsed(parse_port)]`), any of these or nothing (`X | None`). Values are never
bent into the type that is wanted. Not here: the words of a fault (words.py).
"""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from shared.config.setting import Checked, Default, Field, Parsed, Setting, fields_of
from shared.config.yaml import Origin, Settings

Group = TypeVar("Group", bound=Setting)
Place = tuple[int | str, ...]
"""Keys and indices from the top of the file."""

#  Kinds of faults.
MISSING, UNKNOWN, NO_GROUP, NO_NAMES, NO_LIST, WRONG_VALUE = range(6)


class Fault(NamedTuple):
    """`text` is what the parser says, of a wrong value."""

    place: Place
    kind: int
    text: str = ""


class Faults(ValueError):
    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.place}: {fault.text or fault.kind}" for fault in faults))
        self.faults = faults


def read(model: type[Group], written: object, folder: str = "") -> Group:
    """The group that `written` describes; relative paths count from `folder`. Raises Faults, with all there are."""
    reading = _Reading(folder)
    made = reading.group(model, written, ())
    if reading.faults:
        raise Faults(reading.faults)
    assert isinstance(made, model)
    return made


#  In the place of a value that could not be made; its fault is told already.
_NONE_MADE: Any = object()


class _Reading:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.faults: list[Fault] = []

    def group(self, model: type[Setting], written: Any, place: Place) -> Any:
        if isinstance(written, model):
            return written
        if not isinstance(written, dict):
            return self._fault(place, NO_GROUP)
        before = len(self.faults)
        complete = model.complete(written)
        fields = fields_of(model)
        values = {name: self._field(field, complete, place) for name, field in fields.items()}
        unknown = [name for name in complete if name not in fields]
        for name in unknown:
            self._fault((*place, name), UNKNOWN)
        if len(self.faults) > before:
            return _NONE_MADE
        origin = written.origin if isinstance(written, Settings) else Origin()
        return model.made(values, origin, frozenset(complete))

    def _field(self, field: Field, written: Any, place: Place) -> Any:
        place = (*place, field.name)
        if field.name in written:
            value = written[field.name]
            return self.value(field.annotation, {} if value is None and field.is_section else value, place)
        if field.is_required:
            return self._fault(place, MISSING)
        if isinstance(field.default, Default):
            return self.value(field.annotation, field.default.written, place)
        return field.default

    def value(self, wanted: Any, written: Any, place: Place) -> Any:
        kind, arguments = get_origin(wanted), get_args(wanted)
        if kind is Annotated:
            return self._annotated(arguments[0], arguments[1], written, place)
        if kind is Union or kind is UnionType:
            [inner] = (argument for argument in arguments if argument is not type(None))
            return None if written is None else self.value(inner, written, place)
        if kind is tuple:
            return self._items(arguments[0], written, place)
        if kind is dict:
            return self._named(arguments[1], written, place)
        assert issubclass(wanted, Setting), f"{wanted} of {place} has no parser"
        return self.group(wanted, written, place)

    def _annotated(self, wanted: Any, mark: Parsed | Checked, written: Any, place: Place) -> Any:
        if isinstance(mark, Checked):
            value = self.value(wanted, written, place)
            return value if value is _NONE_MADE else self._tried(place, mark.check, value)
        return self._tried(place, mark.parse, written, *((self._folder,) if mark.in_folder else ()))

    def _tried(self, place: Place, make: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return make(*arguments)
        except ValueError as error:
            return self._fault(place, WRONG_VALUE, str(error))

    def _items(self, wanted: Any, written: Any, place: Place) -> Any:
        if not isinstance(written, tuple):
            return self._fault(place, NO_LIST)
        items = tuple(self.value(wanted, item, (*place, number)) for number, item in enumerate(written))
        return _NONE_MADE if any(item is _NONE_MADE for item in items) else items

    def _named(self, wanted: Any, written: Any, place: Place) -> Any:
        if not isinstance(written, dict):
            return self._fault(place, NO_NAMES)
        return {name: self.value(wanted, below, (*place, name)) for name, below in written.items()}

    def _fault(self, place: Place, kind: int, text: str = "") -> Any:
        self.faults.append(Fault(place, kind, text))
        return _NONE_MADE
