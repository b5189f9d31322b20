"""From the line ends of the wire (CRLF) to those of a Maildir (LF), in pieces, without looking at lines."""

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
