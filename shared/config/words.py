"""What is wrong with what was written, in words, each with its place in the file."""

from __future__ import annotations

from typing import Any

from shared.config.names import known_names
from shared.config.problem import Problem, shown
from shared.config.reading import MISSING, NO_GROUP, NO_LIST, NO_NAMES, UNKNOWN, Fault, Place
from shared.config.scalars import did_you_mean
from shared.config.yaml import Items, Mark, Settings

#  Names that people bring along, and what to say to them.
ELSEWHERE = {
    "password": "a password does not stand in this file: write it into a file of mode 0600 and name that file"
    " with 'password_file'",
}
WORDS = {
    MISSING: "{name} is missing",
    NO_GROUP: "expects settings, each as 'name: value'",
    NO_NAMES: "expects names with settings below them",
    NO_LIST: "expects a list, like [one, two] or one '- item' a line",
}


def problem_of(fault: Fault, document: Settings) -> Problem:
    file, mark, key = locate(document, fault.place)
    if fault.kind == UNKNOWN and key is not None:
        mark = key
    return Problem(file, *mark, _text(fault))


def _text(fault: Fault) -> str:
    name = str(fault.place[-1]) if fault.place else ""
    if fault.kind != UNKNOWN:
        return fault.text or WORDS[fault.kind].format(name=shown(name))
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    return f"unknown setting {shown(name)}{did_you_mean(name, known_names(fault.place[:-1]))}"


def locate(document: Settings, path: Place) -> tuple[str, Mark, Mark | None]:
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
