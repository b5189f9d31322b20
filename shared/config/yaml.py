"""YAML → plain values that remember where they stood (PyYAML, but the scalars of YAML 1.2's core schema).

PyYAML reads YAML 1.1, in which `off` is False, `0640` is 416 and `1:30` is 90: each of them has broken somebody's
mail server. Here only true/false, null, decimal integers and floats are more than text. A key given twice is an
error: PyYAML would take the last one and say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.config.problem import ConfigErrors, Problem, shown

Mark = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a group of settings stood: the group, each key, each value.

    Any two origins are equal: where a value stands is no part of what it is, and a reload must not take a moved line
    for a changed setting.
    """

    file: str = ""
    mark: Mark = (0, 0)
    keys: dict[str, Mark] = field(default_factory=dict)
    values: dict[str, Mark] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Of the keys that stand in another file than the group."""

    def file_of(self, key: str) -> str:
        return self.files.get(key, self.file)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0

    def problem(self, text: str, key: str = "") -> Problem:
        """A problem with the value of `key`, or with the whole group."""
        return Problem(self.file_of(key), *self.values.get(key, self.mark), text)

    def problem_with_name(self, text: str, key: str) -> Problem:
        """A problem with the name `key` itself."""
        return Problem(self.file_of(key), *self.keys[key], text)

    def __str__(self) -> str:
        return f"{self.file}:{self.mark[0]}" if self.file else ""


class Settings(dict[str, Any]):
    """A YAML mapping."""

    def __init__(self, values: dict[str, Any], origin: Origin) -> None:
        super().__init__(values)
        self.origin = origin


class Items(tuple[Any, ...]):
    """A YAML sequence; a tuple, since configuration is frozen once it is read. `files`: where each item stood."""

    marks: tuple[Mark, ...]
    files: tuple[str, ...]

    def __new__(cls, values: Sequence[Any], marks: Sequence[Mark], files: Sequence[str]) -> Items:
        items = super().__new__(cls, values)
        items.marks = tuple(marks)
        items.files = tuple(files)
        return items


class _CoreLoader(yaml.SafeLoader):
    """Resolves the core schema only; used to compose nodes, never to construct objects."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML reads it from the class


#  YAML 1.2.2 §10.3.2, without octal (0o640), hexadecimal, .inf and .nan, which no setting of ours needs: they stay
#  text and are refused as such. A leading zero makes text too, as `0640` means 416 to some readers and 640 to others.
for _tag, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)\Z", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", "-+.0123456789"),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def read_yaml(text: str, file: str) -> tuple[Settings, list[Problem]]:
    """The settings in `text`, and what is wrong with them that does not keep us from reading on (keys given twice).

    Raises ConfigErrors when the text is no YAML, with the place.
    """
    loader = None
    try:
        loader = _CoreLoader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        raise ConfigErrors([_unreadable_character(text, file, error)])
    except yaml.MarkedYAMLError as error:
        raise ConfigErrors([_syntax_problem(file, error)])
    except RecursionError:
        raise ConfigErrors([Problem(file, 1, 1, "the values are nested too deeply")])
    finally:
        if loader is not None:
            loader.dispose()
    builder = _Builder(file)
    if root is None:
        return Settings({}, Origin(file, (1, 1))), []
    value = builder.build(root)
    if value is None:
        value = Settings({}, Origin(file, (1, 1)))
    if not isinstance(value, Settings):
        raise ConfigErrors([Problem(file, *_mark(root), "the file must hold settings, each as 'name: value'")])
    return value, builder.problems


class _Builder:
    """Nodes → values. Faults are gathered, so that one reading shows them all."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._open: set[int] = set()

    def build(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._complain(node, "the value contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            marks = [_mark(item) for item in node.value]
            return Items([self.build(item) for item in node.value], marks, [self.file] * len(marks))
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode) -> Settings:
        origin = Origin(self.file, _mark(node))
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, "the name of a setting must be plain text")
                continue
            key = key_node.value
            if key in origin.keys:
                self._complain(key_node, f"duplicate key {shown(key)} (first on line {origin.keys[key][0]})")
                continue
            origin.keys[key] = _mark(key_node)
            #  An empty value has no place of its own; PyYAML gives it the end of whatever came last.
            empty = (
                isinstance(value_node, yaml.ScalarNode) and value_node.start_mark.index == value_node.end_mark.index
            )
            origin.values[key] = _mark(key_node if empty else value_node)
            values[key] = self.build(value_node)
        return Settings(values, origin)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            match kind:
                case "str":
                    return node.value
                case "int":
                    return int(node.value)
                case "float":
                    return float(node.value)
                case "bool":
                    return {"true": True, "false": False}[node.value.lower()]
                case "null":
                    return None
        except (ValueError, KeyError):
            self._complain(node, f"{shown(node.value)} is no {kind}")
            return None
        self._complain(node, f"the tag {shown(node.tag)} means nothing here")
        return None

    def _complain(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(self.file, *_mark(node), text))


def _mark(node: yaml.Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax_problem(file: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    context = error.context
    if context and error.context_mark and mark and error.context_mark.line != mark.line:
        context += f" (begun on line {error.context_mark.line + 1})"
    words = ", ".join(part for part in (context, error.problem) if part)
    if "found character '\\t'" in words:
        words = "a tab cannot be used to indent: use spaces"
    if mark is None:
        return Problem(file, 1, 1, words)
    return Problem(file, mark.line + 1, mark.column + 1, words)


def _unreadable_character(text: str, file: str, error: yaml.reader.ReaderError) -> Problem:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Problem(file, line, column, f"the character U+{ord(text[error.position]):04X} cannot stand in YAML")
