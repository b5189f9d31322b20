"""Messages that mail is known to get wrong, each with a token by which the far end's copy is found."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

from mailsite import DOMAIN


@dataclass(frozen=True)
class Sample:
    name: str
    body: bytes
    headers: bytes = b""
    local_part: str = "anna"
    sender: str = f"bert@{DOMAIN}"
    options: tuple[str, ...] = ()

    def token(self, route: str) -> str:
        return f"token-{self.name}-{route}-."

    def message(self, route: str) -> bytes:
        return (
            b"From: Bert <bert@hq.example>\r\nTo: you\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
            b"Message-ID: <" + self.token(route).encode() + b"@hq.example>\r\n"
            + b"Subject: " + self.name.encode() + b"\r\n"
            + self.headers + b"\r\n" + self.body
        )  # fmt: skip


def attachment(octets: int) -> Sample:
    """A MIME message with one base64 attachment that makes it `octets` long, more or less."""
    raw = random.Random(30).randbytes(octets * 3 // 4 * 76 // 78)
    body = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    return Sample("attachment", body, b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n")


MIME_8BIT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
SMALL = [
    Sample("plain", b"Good morning,\r\n\r\nnothing special.\r\n"),
    Sample("eight-bit", "Grüße aus Köln, 100 €\r\n".encode() + bytes(range(128, 256)) + b"\r\n", MIME_8BIT,
           options=("BODY=8BITMIME",)),
    Sample("utf8-address", "Здравствуйте\r\n".encode(), MIME_8BIT + "X-Name: Jürgen Müller\r\n".encode(),
           local_part="jürgen", sender="анна@hq.example", options=("SMTPUTF8", "BODY=8BITMIME")),
    Sample("long-line", b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\nshort\r\n"),
    Sample("leading-dots", b".\r\n..\r\n...\r\n.one\r\n..two\r\n . \r\nend.\r\n.\r\n"),
    Sample("empty-body", b""),
    Sample("no-last-words", b"\r\n\r\n\r\n"),
]  # fmt: skip


def without_trace(message: bytes, *fields: bytes, end: bytes = b"\r\n") -> bytes:
    """`message` without the fields we put on top, which must be just `fields`, each once, in this order."""
    for field in fields:
        assert message.startswith(field + b":"), f"{field!r} is not next in {message[:300]!r}"
        at = message.index(end)
        while message[at + len(end) : at + len(end) + 1] in (b"\t", b" "):
            at = message.index(end, at + len(end))
        message = message[at + len(end) :]
    return message
