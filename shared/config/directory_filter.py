"""Search filters of a directory (RFC 4515) as far as finding one person needs them: and, or, not, equal, present.

Here: reading the text, and escaping what a client typed before it becomes part of one. Not here: asking the directory
(mercury_s/auth).
"""

from __future__ import annotations

import re

from shared.mail.record import dataclass

#  RFC 4515 §3   filter = "(" ( "&" filterlist / "|" filterlist / "!" filter / attr "=" value ) ")"
_ITEM = re.compile(r"([A-Za-z][A-Za-z0-9;.-]*)=([^()*\0]*|\*)\)")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2})|\\")
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Equal:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Without:
    part: Filter


Filter = Equal | Present | Every | Some | Without


def parse_filter(text: str) -> Filter:
    """Raises ValueError with what is wrong."""
    found, end = _parse(text, 0, _DEEPEST)
    if end != len(text):
        raise ValueError("there is more behind the last bracket")
    return found


def escaped(text: str) -> str:
    """`text` as part of a filter or of a name in the directory (RFC 4514 §2.4): letters, digits, the rest in hex."""
    return "".join(
        chr(octet) if octet < 128 and chr(octet).isalnum() else f"\\{octet:02x}" for octet in text.encode()
    )


def _parse(text: str, at: int, depth: int) -> tuple[Filter, int]:
    if not depth:
        raise ValueError("brackets stand too deep within each other")
    if text[at : at + 1] != "(":
        raise ValueError("a bracket is missing, as in (mail={login})")
    mark = text[at + 1 : at + 2]
    if mark in ("&", "|"):
        return _parse_list(text, at + 2, mark, depth)
    if mark == "!":
        part, at = _parse(text, at + 2, depth - 1)
        return Without(part), _closed(text, at)
    item = _ITEM.match(text, at + 1)
    if not item:
        raise ValueError("between brackets stands name=value or name=*; nothing else can be asked here")
    if item[2] == "*":
        return Present(item[1]), item.end()
    return Equal(item[1], _value(item[2])), item.end()


def _parse_list(text: str, at: int, mark: str, depth: int) -> tuple[Filter, int]:
    parts = []
    while text[at : at + 1] == "(":
        part, at = _parse(text, at, depth - 1)
        parts.append(part)
    if not parts:
        raise ValueError(f"nothing stands behind {mark}")
    return (Every if mark == "&" else Some)(tuple(parts)), _closed(text, at)


def _closed(text: str, at: int) -> int:
    if text[at : at + 1] != ")":
        raise ValueError("a bracket does not close")
    return at + 1


def _value(text: str) -> bytes:
    value, end = bytearray(), 0
    for found in _ESCAPE.finditer(text):
        if found[1] is None:
            raise ValueError("a backslash stands before two hexadecimal digits")
        value += text[end : found.start()].encode() + bytes([int(found[1], 16)])
        end = found.end()
    return bytes(value + text[end:].encode())
