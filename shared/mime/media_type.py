"""What a MIME header section says of its body: type, boundary, transfer encoding (RFC 2045 §5, §6).

Read strictly: where readers could differ about what is meant, `Doubtful` is raised, as a body that is taken apart in
another way than its reader does would not be the same body afterwards.
"""

from __future__ import annotations

import re

from shared.mail.field import Field, split_fields
from shared.mail.record import dataclass

_TYPE = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?=;|\Z)")
_PARAMETER = re.compile(r';[ \t]*([^ \t=;"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"]*)', re.DOTALL)
#  RFC 2046 §5.1.1: 1 to 70 characters. Others write more; what would not fit into a line is none.
LONGEST_BOUNDARY = 200


class Doubtful(ValueError):
    """Readers could differ; the message says about what."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """In lower case. `is_given`: there is a Content-Type field. `encoding` is `7bit` when none is named."""

    main: str = "text"
    sub: str = "plain"
    boundary: bytes = b""
    encoding: str = "7bit"
    is_given: bool = False

    @property
    def is_identity(self) -> bool:
        return self.encoding in ("7bit", "8bit", "binary")


def read_media_type(header: bytes, default: tuple[str, str] = ("text", "plain")) -> MediaType:
    """Raises Doubtful."""
    fields = list(split_fields(header))
    if not all(field.name for field in fields):
        raise Doubtful("a line of its header is no field")
    types = [field for field in fields if field.name == b"content-type"]
    encodings = [field for field in fields if field.name == b"content-transfer-encoding"]
    if len(types) > 1 or len(encodings) > 1:
        raise Doubtful("it says its type or encoding twice")
    encoding = _without_comments(encodings[0]).strip().lower() if encodings else "7bit"
    if not types:
        return MediaType(*default, encoding=encoding or "7bit")
    value = _without_comments(types[0])
    found = _TYPE.match(value)
    if found is None:
        if "multipart" in value.lower() or "message" in value.lower():
            raise Doubtful("its Content-Type is malformed")
        return MediaType(encoding=encoding or "7bit", is_given=True)
    main, sub = found[1].lower(), found[2].lower()
    boundary = _boundary(value[found.end() :]) if main == "multipart" else b""
    return MediaType(main, sub, boundary, encoding or "7bit", True)


def _boundary(text: str) -> bytes:
    values = [found for found in _PARAMETER.finditer(text) if found[1].lower().partition("*")[0] == "boundary"]
    if len(values) != 1 or "*" in values[0][1]:
        raise Doubtful("its boundary is not said once and plainly")
    value = values[0][2]
    value = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    value = value.rstrip(" \t")
    if not value or not value.isascii() or len(value) > LONGEST_BOUNDARY:
        raise Doubtful("its boundary is malformed")
    return value.encode()


def _without_comments(field: Field) -> str:
    """Parentheses outside of quotes hide what is in them (RFC 5322 §3.2.2)."""
    text = field.value
    if "(" not in text:
        return text
    out, depth, quoted, at = [], 0, False, 0
    while at < len(text):
        letter = text[at]
        width = 2 if letter == "\\" else 1
        if letter == '"' and not depth:
            quoted = not quoted
        if letter == "(" and not quoted:
            depth += 1
        elif letter == ")" and depth and not quoted:
            depth -= 1
        elif not depth:
            out.append(text[at : at + width])
        at += width
    return "".join(out)
