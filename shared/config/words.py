"""pydantic's errors in our words, each with its place in the file."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.config.names import Path, known_names
from shared.config.problem import Problem, shown
from shared.config.scalars import did_you_mean
from shared.config.yaml import Items, Mark, Settings

#  Names that people bring along, and what to say to them.
ELSEWHERE = {
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


def _problem(details: ErrorDetails, document: Settings) -> Problem:
    path = path_of(details)
    file, mark, is_key = locate(document, path)
    if details["type"] == "extra_forbidden" and is_key is not None:
        mark = is_key
    return Problem(file, *mark, _text(details, path))


def _text(details: ErrorDetails, path: Path) -> str:
    name = str(path[-1]) if path else ""
    kind = details["type"]
    if kind == "extra_forbidden":
        if name in ELSEWHERE:
            return ELSEWHERE[name]
        return f"unknown setting {shown(name)}{did_you_mean(name, known_names(path[:-1]))}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    return WORDS.get(kind, details["msg"]).format(name=shown(name))


def locate(document: Settings, path: Path) -> tuple[str, Mark, Mark | None]:
    """File and place of the value at `path`, or of the group it is missing from; and of its key, if it has one."""
    node: Any = document
    file, mark, key = document.origin.file, document.origin.mark, None
    for part in path:
        if isinstance(node, Settings) and isinstance(part, str) and part in node.origin.values:
            file, mark, key = node.origin.file_of(part), node.origin.values[part], node.origin.keys[part]
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node):
            file, mark, key = node.files[part], node.marks[part], None
        else:
            break
        node = node[part]
    return file, mark, key
