"""The names of all settings, read from the models: for "did you mean", for the sample and for the reference.

Not here: what they mean (docs/configuration.md) and what they hold (the models).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from shared.config.model import Config
from shared.config.reading import Place
from shared.config.setting import Setting, fields_of


def names_of(model: type[Setting] = Config) -> Iterator[str]:
    """Every setting by its dotted name; `sites.*` and `listeners[]` mark what repeats."""
    for name, field in fields_of(model).items():
        yield name
        mark, inner = group_in(field.annotation)
        if inner is not None:
            yield from (f"{name}{mark}.{below}" for below in names_of(inner))


def known_names(path: Place) -> list[str]:
    """The settings that may stand in the group at `path`."""
    model: type[Setting] = Config
    for part in path:
        if not isinstance(part, str) or part not in fields_of(model):
            continue  # an index, or the name of a site
        _, inner = group_in(fields_of(model)[part].annotation)
        if inner is None:
            return []
        model = inner
    return list(fields_of(model))


def group_in(annotation: Any) -> tuple[str, type[Setting] | None]:
    """The model inside an annotation such as `tuple[Listener, ...]`, and how its repetition is written."""
    if isinstance(annotation, type) and not get_args(annotation):
        return ("", annotation) if issubclass(annotation, Setting) else ("", None)
    origin: Any = get_origin(annotation)
    for argument in get_args(annotation):
        mark, inner = group_in(argument)
        if inner is not None:
            if isinstance(origin, type) and issubclass(origin, Mapping):
                return ".*" + mark, inner
            if isinstance(origin, type) and issubclass(origin, Sequence):
                return "[]" + mark, inner
            assert origin in (Annotated, Union, UnionType), annotation
            return mark, inner
    return "", None
