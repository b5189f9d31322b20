"""pydantic's errors in our words, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.config.model import NOT_YET, Config
from shared.config.problem import Problem, shown
from shared.config.scalars import did_you_mean
from shared.config.setting import Setting
from shared.config.yaml import Items, Mark, Settings

Path = tuple[int | str, ...]

#  Names that people bring along, and what to say to them.
ELSEWHERE = {
    **NOT_YET,
    "password": "a password does not stand in this file: write it into a file of mode 0600 and name that file"
    " with 'password_file'",
}
WORDS = {
    "missing": "{name} is missing",
    "model_type": "expects settings, each as 'name: value'",
    "dict_type": "expects names with settings below them",
    "tuple_type": "expects a list, like [one, two] or one '- item' a line",
}


def problems_of(error: ValidationError, document: Settings) -> list[Problem]:
    """One problem for each of pydantic's errors."""
    return [_problem(details, document) for details in error.errors(include_url=False, include_input=False)]


def path_of(details: ErrorDetails) -> Path:
    """The place of the error as keys and indices; a dictionary's own `[key]` marker left out."""
    return tuple(part for part in details["loc"] if part != "[key]")


def settings_of(model: type[Setting] = Config) -> Iterator[tuple[str, type[Setting]]]:
    """Every setting with its dotted name and its model; `sites.*` and `listeners[]` mark what repeats."""
    for name, field in model.model_fields.items():
        yield name, model
        mark, inner = _inner(field.annotation)
        if inner is not None:
            for below, owner in settings_of(inner):
                yield f"{name}{mark}.{below}", owner


def _problem(details: ErrorDetails, document: Settings) -> Problem:
    path = path_of(details)
    mark, is_key = locate(document, path)
    if details["type"] == "extra_forbidden" and is_key is not None:
        mark = is_key
    return Problem(document.origin.file, *mark, _text(details, path))


def _text(details: ErrorDetails, path: Path) -> str:
    name = str(path[-1]) if path else ""
    kind = details["type"]
    if kind == "extra_forbidden":
        if name in ELSEWHERE and (name not in NOT_YET or len(path) == 1):
            return ELSEWHERE[name]
        return f"unknown setting {shown(name)}{did_you_mean(name, known_names(path[:-1]))}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    return WORDS.get(kind, details["msg"]).format(name=shown(name))


def known_names(path: Path) -> list[str]:
    """The settings that may stand in the group at `path`."""
    model: type[Setting] = Config
    for part in path:
        if not isinstance(part, str) or part not in model.model_fields:
            continue  # an index, or the name of a site
        _, inner = _inner(model.model_fields[part].annotation)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def locate(document: Settings, path: Path) -> tuple[Mark, Mark | None]:
    """Where the value at `path` stands, or the group it is missing from; and where its key stands, if it has one."""
    node: Any = document
    mark, key = document.origin.mark, None
    for part in path:
        if isinstance(node, Settings) and isinstance(part, str) and part in node.origin.values:
            mark, key = node.origin.values[part], node.origin.keys[part]
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node):
            mark, key = node.marks[part], None
        else:
            break
        node = node[part]
    return mark, key


def _inner(annotation: Any) -> tuple[str, type[Setting] | None]:
    """The model inside an annotation such as `tuple[Listener, ...]`, and how its repetition is written."""
    if isinstance(annotation, type) and not get_args(annotation):
        return ("", annotation) if issubclass(annotation, Setting) else ("", None)
    origin: Any = get_origin(annotation)
    for argument in get_args(annotation):
        mark, inner = _inner(argument)
        if inner is not None:
            if isinstance(origin, type) and issubclass(origin, Mapping):
                return ".*" + mark, inner
            if isinstance(origin, type) and issubclass(origin, Sequence):
                return "[]" + mark, inner
            assert origin in (Annotated, Union, UnionType), annotation
            return mark, inner
    return "", None
