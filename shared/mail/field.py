"""The fields of a header section (RFC 5322 §2.2), with the octets each one is made of.

Here: where a field begins and ends, its name, its value in one line. Not here: what a value means. Looked at only
when something asks (filters, submission): mail from strangers passes unparsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_FOLDS = b" \t"
#  RFC 5322 §3.6.8   ftext = %d33-57 / %d59-126; white space before the colon is obsolete, and read (§4.5).
_FTEXT = bytes(range(33, 58)) + bytes(range(59, 127))


class Field(NamedTuple):
    """`raw` is the field as it came, with its folded lines and its last line end. `name` is in lower case."""

    name: bytes
    raw: bytes

    @property
    def body(self) -> bytes:
        """What stands behind the colon, still folded, without the last line end."""
        return self.raw.partition(b":")[2].removesuffix(b"\r\n")

    @property
    def value(self) -> str:
        """The body in one line, white space at its ends left out. What is no UTF-8 is read octet by octet."""
        body = self.body.replace(b"\r\n", b"").strip(b" \t")
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            return body.decode("latin-1")


def split_fields(header: bytes) -> Iterator[Field]:
    """Every field of `header`; joined, their `raw` are the header but for its empty line. A line that is no field has
    an empty name."""
    start, size = 0, len(header)
    while start < size:
        if header.startswith(b"\r\n", start):
            return  #  the empty line: what follows is the body
        end = header.find(b"\r\n", start)
        while 0 <= end < size - 2 and header[end + 2] in _FOLDS:
            end = header.find(b"\r\n", end + 2)
        stop = size if end < 0 else end + 2
        yield _field(header[start:stop])
        start = stop


def _field(raw: bytes) -> Field:
    name = raw[: max(raw.find(b":"), 0)].rstrip(b" \t")
    if not name or name.translate(None, _FTEXT):
        return Field(b"", raw)
    return Field(name.lower(), raw)
