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

#  A value that needs neither quotes nor escapes: visible ASCII without `"`, `=` and `\`.
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
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


def clean(fields: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The fields as plain values, secrets masked, long ones cut; those that are None are left out."""
    cleaned: dict[str, str | int | float | bool] = {}
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
            value = _as_text(value)
        cleaned[name] = MASK if name in _SECRET_NAMES else value
    return cleaned


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


def render_text(name: str, fields: Mapping[str, str | int | float | bool]) -> str:
    """`name key=value ...`, one line of printable ASCII without its line end."""
    line = name if _PLAIN(name) else _quoted(name)
    for key, value in fields.items():
        line += f" {key}={value if type(value) is not str or _PLAIN(value) else _quoted(value)}"
    return line


def _quoted(value: str) -> str:
    return f'"{_SPECIAL.sub(_escape, value) if _SPECIAL.search(value) else value}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return "\\" + character if character in '"\\' else character.encode("unicode_escape").decode("ascii")


def render_json(at: float, daemon: str, name: str, fields: Mapping[str, str | int | float | bool]) -> str:
    """One JSON object, ASCII, without its line end; `at` (Unix time), `daemon` and `event` come first."""
    line = f'{{"at":{at:.3f},"daemon":{_quote(daemon)},"event":{_quote(name)}'
    for key, value in fields.items():
        kind = type(value)
        if kind is str:
            line += f',"{key}":{_quote(value)}'  # type: ignore[arg-type]
        elif kind is int or (kind is float and isfinite(value)):  # type: ignore[arg-type]
            line += f',"{key}":{value!r}'
        else:
            line += f',"{key}":{json.dumps(value)}'
    return line + "}"
