"""The DKIM-Signature field of a message (RFC 6376 §3.5): which fields it covers, and what is signed.

Every field that a reader believes is signed once more often than it is there, so that nobody can add one (§8.15). The
whole body is signed: there is no l= (§8.2). Not here: the keys' files (shared/service/signing.py). Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

from shared.dkim.private_key import PrivateKey
from shared.dkim.relaxed import BodyHash, relax_field
from shared.mail.address import AddressError
from shared.mail.author import FieldFault, parse_authors
from shared.mail.content import Content
from shared.mail.field import Field, split_fields
from shared.mail.record import dataclass

#  §5.4.1, and what decides how a message is shown: there or not, they are as we sent them.
SEALED = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding",
)  # fmt: skip
#  Signed where they are there; a mailing list behind us may add its own.
SIGNED = (
    "content-id", "content-description", "resent-date", "resent-from", "resent-sender", "resent-to", "resent-cc",
    "resent-message-id", "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe",
    "list-post", "list-owner", "list-archive", "auto-submitted", "tls-required", "tls-report-domain",
    "tls-report-submitter",
)  # fmt: skip
_LINE = 76


@dataclass(frozen=True, slots=True)
class Seal:
    """By whom and with what: the signature is found at `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    key: PrivateKey


def author_domain(header: bytes) -> str:
    """The domain in From, in ASCII and lower case; empty when there is not one such field that names one."""
    fields = [field for field in split_fields(header) if field.name == b"from"]
    if len(fields) != 1:
        return ""
    try:
        return parse_authors(fields[0].value)[0].address.ascii_domain.lower()
    except (FieldFault, AddressError):
        return ""


def hash_body(content: Content) -> bytes:
    """Reads all of `content`. Raises OSError."""
    missing = end_of_header(content.head())
    body = BodyHash()
    for chunk in content.chunks():
        if missing >= len(chunk):
            missing -= len(chunk)
            continue
        body.feed(chunk[missing:] if missing else chunk)
        missing = 0
    return body.digest()


def end_of_header(header: bytes) -> int:
    """Octets of the fields and of the empty line behind them, if it is there."""
    end = sum(len(field.raw) for field in split_fields(header))
    return end + 2 if header.startswith(b"\r\n", end) else end


def render_signature(header: bytes, body_hash: bytes, seal: Seal, now: float) -> bytes:
    """The field, with its line end, to stand above all others. `now` in Unix time."""
    fields = [field for field in split_fields(header) if field.name]
    names = list(_names(fields))
    unsigned = "".join(
        [
            f"v=1; a={seal.key.algorithm}; c=relaxed/relaxed;\r\n d={seal.domain};\r\n s={seal.selector};"
            f" t={int(now)};\r\n h=",
            *_folded(names),
            f";\r\n bh={base64.b64encode(body_hash).decode('ascii')};\r\n b=",
        ]
    ).encode("ascii")
    data = b"".join(line + b"\r\n" for line in _covered(fields, names))
    signature = base64.b64encode(seal.key.sign(data + relax_field(b"dkim-signature", b" " + unsigned)))
    lines = [signature[start : start + _LINE - 4] for start in range(0, len(signature), _LINE - 4)]
    return b"DKIM-Signature: " + unsigned + b"\r\n ".join(lines) + b"\r\n"


def _names(fields: Sequence[Field]) -> Iterator[str]:
    """The value of h=: each name as often as it is signed."""
    counts: dict[str, int] = {}
    for field in fields:
        name = field.name.decode("ascii")
        counts[name] = counts.get(name, 0) + 1
    for name in SEALED:
        yield from [name] * (counts.get(name, 0) + 1)
    for name in SIGNED:
        yield from [name] * counts.get(name, 0)


def _covered(fields: Sequence[Field], names: Iterable[str]) -> Iterator[bytes]:
    """The fields in the order of h=, of several with one name the lowest first (§5.4.2). Those that are not there are
    nothing."""
    by_name: dict[bytes, list[bytes]] = {}
    for field in fields:
        by_name.setdefault(field.name, []).append(field.body)
    for name in names:
        if left := by_name.get(name.encode("ascii")):
            yield relax_field(name.encode("ascii"), left.pop())


def _folded(names: Sequence[str]) -> Iterator[str]:
    """The names between colons, on as many lines as they need."""
    width = 3
    for number, name in enumerate(names):
        text = f":{name}" if number else name
        if width + len(text) > _LINE:
            yield "\r\n "
            width = 1
        yield text
        width += len(text)
