"""How the fields of an event are written: one line of text, and one JSON object. Pure.

Everything a peer, a file or a library has said may stand in a field, so no value can end the line, look like another
field or reach a terminal raw. Reading the lines again is in shared/admin/trail.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from shared.observe.secret import MASK, Secret

LONGEST_VALUE = 256
CUT = "..."

#  A name that needs neither quotes nor escapes: visible ASCII without `"`, `=` and `\`.
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
#  What is escaped in a line; JSON escapes the same, and the rest of a value is the same in both.
_SPECIAL = re.compile(r'[^ -~]|["\\]')
#  A field of one of these names is masked whatever is in it: a slip of the caller must not become a leak.
_SECRET_NAMES = frozenset({"password", "passwd", "secret", "token", "credentials", "authorization", "private_key"})
#  Tracebacks are written whole: the part cut off would be the one that says what happened.
_WHOLE = frozenset({"traceback"})

#  By hand and not json.dumps, which takes three times as long for an object as flat as this one.
_quote = json.encoder.encode_basestring_ascii


#  Named once: `A | B` in a call makes a union each time.
_BYTES = (bytes, bytearray, memoryview)
_MANY = (tuple, list, set, frozenset)

Value = str | int | float | bool


def worded(fields: Mapping[str, Any]) -> tuple[dict[str, Value], str, str]:
    """The fields as plain values, secrets masked, long ones cut, those that are None left out; the same as words of a
    line (` key=value ...`); the same as members of a JSON object (`,"key":value...`), ASCII.

    In one go, as every event needs all three: a value that JSON only puts into quotes needs no escape in a line.
    """
    cleaned: dict[str, Value] = {}
    words = members = ""
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            if len(value) > LONGEST_VALUE and name not in _WHOLE:
                value = value[: LONGEST_VALUE - len(CUT)] + CUT
        elif value is None:
            continue
        elif kind is float:
            value = round(value, 3)
        elif kind is not int and kind is not bool:
            value, kind = _as_text(value), str
        if name in _SECRET_NAMES:
            value, kind = MASK, str
        cleaned[name] = value
        if kind is str:
            shown = quoted = _quote(value)
            if len(quoted) != len(value) + 2:
                shown = _escaped(value)
            elif value and " " not in value and "=" not in value:
                shown = value
        else:
            shown = quoted = str(value)
            if kind is bool or not isfinite(value):
                quoted = json.dumps(value)
        words += f" {name}={shown}"
        members += f',"{name}":{quoted}'
    return cleaned, words, members


def _as_text(value: object) -> str:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, _BYTES):
        text = bytes(value[: LONGEST_VALUE + 1]).decode("latin-1")
    elif isinstance(value, _MANY):
        text = ",".join(map(str, value))
    else:
        text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - len(CUT)] + CUT


def render_text(name: str, fields: Mapping[str, Value]) -> str:
    """`name key=value ...`, one line of printable ASCII without its line end."""
    return (name if _PLAIN(name) else _escaped(name)) + worded(fields)[1]


def _escaped(value: str) -> str:
    return f'"{_SPECIAL.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return "\\" + character if character in '"\\' else character.encode("unicode_escape").decode("ascii")


def render_json(at: float, daemon: str, name: str, members: str) -> str:
    """One JSON object, ASCII, without its line end; `at` (Unix time), `daemon` and `event` come first."""
    return f'{{"at":{at:.3f},"daemon":{_quote(daemon)},"event":{_quote(name)}{members}}}'
