"""From the line ends of the wire (CRLF) to those of a Maildir (LF), in pieces, without looking at lines.

A binary message (BODY=BINARYMIME, RFC 3030 §3) has line ends in its header only; what follows is octets, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def to_lf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Every CRLF becomes LF; a CR or LF that stands alone stays. However the bytes are cut, the result is one."""
    held = b""
    for chunk in chunks:
        if held:
            chunk = held + chunk
            held = b""
        if chunk.endswith(b"\r"):  #  its LF may come with the next chunk
            held = b"\r"
            chunk = chunk[:-1]
        chunk = chunk.replace(b"\r\n", b"\n")
        if chunk:
            yield chunk
    if held:
        yield held


def header_to_lf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """As `to_lf`, but only up to the empty line that ends the header; every octet behind it stays what it is."""
    head = b""
    is_open = False
    for chunk in chunks:
        if is_open:
            yield chunk
            continue
        head += chunk
        end = _end_of_header(head)
        if end >= 0:
            is_open = True
            yield head[:end].replace(b"\r\n", b"\n") + head[end:]
            head = b""
    if head:
        yield head.replace(b"\r\n", b"\n")


def _end_of_header(content: bytes) -> int:
    if content.startswith(b"\r\n"):
        return 2
    end = content.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1
