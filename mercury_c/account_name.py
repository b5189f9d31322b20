"""Mail in the name of the account: for providers that take none from any other sender.

The envelope sender, From and Sender become the account's address; Reply-To gets what stood in From, unless there is
one. Every other octet of the message stays as it is. A DKIM signature over From no longer holds after that, and
counts as none (RFC 6376 §6.1). Mail without a sender (reports) keeps having none. Not here: for which smarthost
(`rewrite_sender`, shared/transport/handover.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shared.mail.address import Address
from shared.mail.author import FieldFault, parse_authors
from shared.mail.content import Content
from shared.mail.envelope import Envelope
from shared.mail.field import Field, split_fields


def in_name_of(account: Address, envelope: Envelope, content: Content) -> tuple[Envelope, Content]:
    """Raises OSError when the message cannot be read."""
    old = content.head()
    new = rename_author(old, account)
    if new != old:
        content = Renamed(content, len(old), new)
    return (envelope if envelope.sender is None else replace(envelope, sender=account)), content


def rename_author(header: bytes, account: Address) -> bytes:
    """`header` in the name of `account`; the same when it is already. It may have lost its empty line."""
    fields = list(split_fields(header))
    rest = header[sum(len(field.raw) for field in fields) :]
    has_reply_to = any(field.name == b"reply-to" for field in fields)
    pieces: list[bytes] = []
    has_author = False
    for field in fields:
        if field.name not in (b"from", b"sender"):
            pieces.append(field.raw)
            continue
        renamed = _renamed(field, account)
        pieces.append(renamed)
        if field.name == b"from":
            has_author = True
            if renamed != field.raw and not has_reply_to and field.body.strip():
                pieces.append(b"Reply-To:" + field.body + b"\r\n")
                has_reply_to = True
    if not has_author:
        pieces.insert(_behind_trace(fields), f"From: {account}\r\n".encode())
    return b"".join(pieces) + rest


def _renamed(field: Field, account: Address) -> bytes:
    """The field with the account's address in place of its own; the name of the first author stays."""
    name = field.raw[: field.raw.index(b":") + 1]
    body = field.body
    codec = "utf-8"
    try:
        text = body.decode(codec)
    except UnicodeDecodeError:
        codec = "latin-1"
        text = body.decode(codec)
    try:
        authors = parse_authors(text)
    except FieldFault:
        return name + f" {account}\r\n".encode()
    if len(authors) == 1:
        [author] = authors
        if author.address == account:
            return field.raw
        before, behind = text[: author.start].encode(codec), text[author.end :].encode(codec)
        return b"".join((name, before, str(account).encode(), behind, b"\r\n"))
    return name + f" {account}\r\n".encode()


def _behind_trace(fields: list[Field]) -> int:
    """Behind the Received and Return-Path fields at the top."""
    for number, field in enumerate(fields):
        if field.name not in (b"received", b"return-path"):
            return number
    return len(fields)


class Renamed:
    """A message with another header. Satisfies shared.mail.content.Content."""

    def __init__(self, content: Content, replaced: int, header: bytes) -> None:
        self._content = content
        self._replaced = replaced
        self._header = header

    @property
    def size(self) -> int:
        return self._content.size - self._replaced + len(self._header)

    def head(self) -> bytes:
        return self._header

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        for start in range(0, len(self._header), size):
            yield self._header[start : start + size]
        missing = self._replaced
        for chunk in self._content.chunks(size):
            if missing >= len(chunk):
                missing -= len(chunk)
                continue
            yield chunk[missing:] if missing else chunk
            missing = 0
