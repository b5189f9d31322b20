"""The value of one field of a message header, found by searching; nothing is parsed. Pure."""

from __future__ import annotations

_USUAL = {b"message-id": b"Message-ID", b"subject": b"Subject"}


def value_of(header: bytes, name: bytes) -> str:
    """What the first field of that name (in lower case) holds, in one line; "" without one."""
    #  As most write it, first: that saves a copy of the header.
    start = header.find(b"\r\n" + _USUAL.get(name, name) + b":")
    if start < 0:
        lowered = b"\r\n" + header.lower()
        start = lowered.find(b"\r\n" + name + b":") - 2
        if start < -2:
            return ""
    start += len(name) + 3
    end = header.find(b"\r\n", start)
    while 0 <= end < len(header) - 2 and header[end + 2] in b" \t":
        end = header.find(b"\r\n", end + 2)
    value = header[start:end] if end >= 0 else header[start:]
    return value.replace(b"\r\n", b"").strip().decode("utf-8", "replace")
