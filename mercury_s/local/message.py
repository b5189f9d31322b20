"""The message of an entry as a mailbox wants it: LF line ends, in memory when it is small, streamed when not.

Not here: which mailbox, and what stands before the message there (maildrop.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor

from mercury_s.local.line_ends import header_to_lf, to_lf
from shared.mail.address import Address
from shared.mail.content import Content

#  What is this small is read in the loop's thread: a call to another thread would take longer than the reading.
_AT_ONCE = 128 * 1024
_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


class Message:
    """`small` is the whole text with LF line ends, or None: then `pieces` reads it from the spool. `is_binary`: its
    body is no text, and keeps every octet."""

    def __init__(self, content: Content, small: bytes | None, is_binary: bool = False) -> None:
        self.content = content
        self.small = small
        self.is_binary = is_binary

    def pieces(self) -> Iterator[bytes]:
        """The text with LF line ends. Blocks; raises OSError."""
        chunks = self.content.chunks(_CHUNK)
        return header_to_lf(chunks) if self.is_binary else to_lf(chunks)


async def read_message(content: Content, executor: Executor | None, is_binary: bool = False) -> Message:
    """Raises OSError."""
    size = content.size
    if size > _IN_MEMORY:
        return Message(content, None, is_binary)
    if size <= _AT_ONCE:
        small = _read_small(content, is_binary)
    else:
        loop = asyncio.get_running_loop()
        small = await loop.run_in_executor(executor, _read_small, content, is_binary)
    return Message(content, small, is_binary)


def _read_small(content: Content, is_binary: bool) -> bytes:
    chunks = content.chunks(_IN_MEMORY)
    return b"".join(header_to_lf(chunks)) if is_binary else b"".join(chunks).replace(b"\r\n", b"\n")


def render_been_at(address: Address) -> bytes:
    """Delivered-To as `has_been_at` finds it again: with the domain in A-labels, and a line end of the wire."""
    return f"Delivered-To: {Address(address.local, address.ascii_domain)}\r\n".encode()


def has_been_at(head: bytes, address: Address) -> bool:
    """Whether `head`, a header section, has a Delivered-To field (RFC 9228) with `address`, whatever its case."""
    fields = (b"\n" + head).lower()
    wanted = str(Address(address.local, address.ascii_domain)).encode().lower().translate(None, b"\t ")
    position = fields.find(b"\ndelivered-to:")
    while position >= 0:
        start = position + 14
        end = fields.find(b"\n", start)
        while end >= 0 and fields[end + 1 : end + 2] in (b" ", b"\t"):
            end = fields.find(b"\n", end + 1)
        value = fields[start : end if end >= 0 else len(fields)].translate(None, b"\r\n\t ")
        if value.strip(b"<>") == wanted:
            return True
        position = fields.find(b"\ndelivered-to:", start)
    return False
