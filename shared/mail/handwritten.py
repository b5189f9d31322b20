"""A message written on this host, by a program or by hand: what its header says, and what its writer wishes.

It may have LF line ends, no header at all, recipients in its header only. Not here: who the writer is and what he
may say about himself (shared/service/injection.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.utils import formataddr, getaddresses

from shared.mail.record import dataclass

#  RFC 5322 §3.6.8   ftext = %d33-57 / %d59-126; older programs put blanks before the colon (§4.5.8).
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
RECIPIENT_FIELDS = ("to", "cc", "bcc")
RESENT_FIELDS = ("resent-to", "resent-cc", "resent-bcc")
BLIND_FIELDS = ("bcc", "resent-bcc")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the writer wishes. `sender` None: what is usual for him; empty: the null sender. `by_header`: also to the
    recipients that the header names. `notify` and `ret` are words of RFC 3461, or empty."""

    recipients: tuple[str, ...] = ()
    sender: str | None = None
    by_header: bool = False
    full_name: str = ""
    notify: str = ""
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class Handwritten:
    """`fields` are whole, folding and CRLF included; `body` has CRLF line ends."""

    fields: tuple[bytes, ...]
    body: bytes

    def has(self, name: str) -> bool:
        return any(name == _name(field) for field in self.fields)

    def count(self, name: str) -> int:
        return sum(1 for field in self.fields if name == _name(field))

    def recipients(self) -> list[str]:
        """The addresses of To, Cc and Bcc; of the Resent- fields alone if there are any (RFC 5322 §3.6.6)."""
        is_resent = any(self.has(name) for name in RESENT_FIELDS)
        wanted = RESENT_FIELDS if is_resent else RECIPIENT_FIELDS
        return list(self._addresses(wanted))

    def render(self, before: Sequence[bytes] = (), missing: Sequence[bytes] = ()) -> bytes:
        """The message with `before` in front and `missing` behind its own fields; blind copies are not named."""
        kept = [field for field in self.fields if _name(field) not in BLIND_FIELDS]
        return b"".join([*before, *kept, *missing, b"\r\n", self.body])

    def _addresses(self, names: Sequence[str]) -> Iterator[str]:
        for field in self.fields:
            if _name(field) in names:
                text = field.partition(b":")[2].decode("utf-8", "surrogateescape")
                yield from addresses_in(" ".join(text.split("\r\n")))


def addresses_in(text: str) -> list[str]:
    """The bare addresses of a list as people write it: `Anna <anna@example.org>, bert@example.org`."""
    return [address for _, address in getaddresses([text]) if address]


def parse_handwritten(raw: bytes) -> Handwritten:
    """Whatever `raw` is, it is a message: what does not look like a header is the body."""
    text = raw.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if text.startswith(b"From "):
        text = text.partition(b"\n")[2]  #  the separator of a mailbox file
    if text and not text.endswith(b"\n"):
        text += b"\n"
    fields: list[bytes] = []
    position = 0
    while position < len(text):
        end = text.index(b"\n", position) + 1
        line = text[position:end]
        if line == b"\n":
            position = end
            break
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        elif _FIELD.match(line):
            fields.append(line)
        else:
            break
        position = end
    return Handwritten(tuple(_crlf(field) for field in fields), _crlf(text[position:]))


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def _name(field: bytes) -> str:
    found = _FIELD.match(field)
    return found[1].decode("ascii").lower() if found else ""


def render_from(full_name: str, address: str) -> bytes:
    """A From field. The name is encoded where it has to be (RFC 2047)."""
    plain = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", full_name).split())
    if not address.isascii():
        return f"From: {address}\r\n".encode()
    return f"From: {formataddr((plain, address))}\r\n".encode()
