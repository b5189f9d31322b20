"""The configuration as a JSON Schema (2020-12), for editors that complete names and mark faults while one writes.

It is made from the models. A file that the daemons take is right by the schema; the other way round only
`config check` knows, as a schema cannot say that two networks overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from shared.admin.meanings import Meaning
from shared.config.model import Config
from shared.config.names import group_in
from shared.config.setting import Default, Field, Parsed, Setting, fields_of, plain_value

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}


def _measure(name: str) -> Schema:
    """`name` is no format that a validator knows; it says what the number or text measures."""
    return {"type": ["number", "string"], "format": name}


#  What may be written differs from what it becomes: by the name of the parser.
_WRITTEN: dict[str, Schema] = {
    "parse_size": _measure("size"),
    "parse_quota": _measure("size"),
    "parse_duration": _measure("time-span"),
    "parse_percent": _measure("percent"),
    "parse_rate": _measure("rate"),
    "parse_tls_floor": _measure("tls-version"),
    "parse_port": {"type": "integer", "minimum": 1, "maximum": 65535},
}
_PLAIN: dict[type, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}


def schema(meanings: Mapping[str, Meaning]) -> Schema:
    """`meanings` become the descriptions that an editor shows."""
    groups: dict[str, Schema] = {}
    _add_group(Config, "", meanings, groups)
    made = groups.pop(Config.__name__)
    made["required"] = []  #  the host knows its own name
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": groups,
        **made,
        "title": "mercury.yaml",
    }


def _add_group(model: type[Setting], prefix: str, meanings: Mapping[str, Meaning], groups: dict[str, Schema]) -> None:
    """The group, and those below it. One that stands in several places is described by the first."""
    if model.__name__ not in groups:
        fields = fields_of(model).values()
        groups[model.__name__] = {
            "title": model.__name__,
            "type": "object",
            "additionalProperties": False,
            "properties": {field.name: _setting(field) for field in fields},
        }
        if required := [field.name for field in fields if field.is_required]:
            groups[model.__name__]["required"] = required
    for field in fields_of(model).values():
        key = prefix + field.name
        if (meaning := meanings.get(key)) is not None:
            default = f" Default: {meaning.default}." if meaning.default not in ("", "–") else ""
            groups[model.__name__]["properties"][field.name].setdefault("description", meaning.text + default)
        mark, inner = group_in(field.annotation)
        if inner is not None:
            _add_group(inner, f"{key}{mark}.", meanings, groups)


def _setting(field: Field) -> Schema:
    made = dict(_of_type(field.annotation))
    if field.is_section:
        return {"anyOf": [made, {"type": "null"}]}
    if not field.is_required:
        given = field.default.written if isinstance(field.default, Default) else field.default
        made["default"] = plain_value(given)
    return made


def _of_type(wanted: Any) -> Schema:
    """What may stand in the file, whatever is made of it."""
    kind, arguments = get_origin(wanted), get_args(wanted)
    if kind is Annotated:
        inner, mark = arguments
        name = mark.parse.__name__ if isinstance(mark, Parsed) else ""
        return _WRITTEN[name] if name in _WRITTEN else _of_type(inner)
    if kind is Union or kind is UnionType:
        choices = [{"type": "null"} if one is type(None) else _of_type(one) for one in arguments]
        return _TEXT if all(choice == _TEXT for choice in choices) else {"anyOf": choices}
    if kind is tuple:
        return {"type": "array", "items": _of_type(arguments[0])}
    if kind is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if issubclass(wanted, Setting):
        return {"$ref": f"#/$defs/{wanted.__name__}"}
    if issubclass(wanted, Enum):
        return {"type": "string", "enum": [word.value for word in wanted]}
    #  All else is parsed from text: an address, a network, a pattern.
    return _PLAIN.get(wanted, _TEXT)
