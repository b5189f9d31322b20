"""The record: an envelope as header fields at the head of an entry (docs/spool.md, "The record").

Bytes in, values out; no files here. Parsing is on the way of every message, so it splits and never searches with
patterns. Values are in xtext (RFC 3461 §4) over UTF-8, so that every value comes back exactly as it was.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

from shared.mail.address import Address
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return

VERSION = b"1"
_HEAD = b"Mercury-Envelope: "
_TO = b"Mercury-To: "

#  RFC 3461 §4   xchar = any ASCII CHAR between "!" and "~" except "+" and "=". We add the octets of UTF-8.
_XCHARS = bytes(octet for octet in range(0x21, 0x100) if octet not in b"+=\x7f")
_XCHARS_OF_ADDRESS = _XCHARS.replace(b"@", b"")
_DOMAIN_CHARS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]" + bytes(range(0x80, 0x100))
_PLUS = ord("+")
_CONTROLS = bytes([*range(0x20), 0x7F])
#  Surrogates cannot come over the wire, but what comes back shall be what went in, whatever it was.
_CODEC = ("utf-8", "surrogatepass")

_BODY = {body.value: body for body in Body}
_NOTIFY = {notify.value: notify for notify in Notify}
_RETURN = {ret.value: ret for ret in Return}


class RecordError(ValueError):
    """The head of a file is no record, or a damaged one; the message says in what way."""


def render_record(envelope: Envelope) -> bytes:
    """`envelope` as it stands at the head of an entry."""
    lines = b"".join([_render_recipient(recipient) for recipient in envelope.recipients])
    fields = _render_fields(envelope) + b"\r\n"
    summed = b"%d,%d%b%b" % (len(envelope.recipients), len(lines), fields, lines)
    return b"%b%b %08x %b" % (_HEAD, VERSION, crc32(summed), summed)


def _render_fields(envelope: Envelope) -> bytes:
    sender = b"<>" if envelope.sender is None else _render_address(envelope.sender)
    fields = b" id=%b arrived=%b from=%b" % (_encode(envelope.id), repr(envelope.arrived).encode("ascii"), sender)
    if envelope.body is not Body.SEVEN_BIT:
        fields += b" body=" + envelope.body.encode("ascii")
    if envelope.smtputf8:
        fields += b" smtputf8=1"
    if envelope.requiretls:
        fields += b" requiretls=1"
    if envelope.tls_optional:
        fields += b" tlsoptional=1"
    if envelope.ret is not None:
        fields += b" ret=" + envelope.ret.encode("ascii")
    if envelope.priority:
        fields += b" priority=%d" % envelope.priority
    for key, value in (
        (b"site", envelope.site),
        (b"envid", envelope.envid),
        (b"login", envelope.login),
        (b"client", envelope.client),
        (b"cause", envelope.cause),
    ):
        if value:
            fields += b" %b=%b" % (key, _xtext(value))
    return fields


def _render_recipient(recipient: Recipient) -> bytes:
    line = _TO + _render_address(recipient.address)
    if recipient.notify:
        line += b" notify=" + ",".join(recipient.notify).encode("ascii")
    if recipient.original:
        line += b" orcpt=" + _xtext(recipient.original)
    return line + b"\r\n"


def _render_address(address: Address) -> bytes:
    #  The @ is always there, also behind the bare postmaster: the null sender alone has none.
    return b"%b@%b" % (_xtext(address.local, _XCHARS_OF_ADDRESS), _xtext(address.domain, _XCHARS_OF_ADDRESS))


def _encode(value: str, xchars: bytes = _XCHARS) -> bytes:
    data = value.encode(*_CODEC)
    strange = data.translate(None, xchars)
    if strange:
        #  The plus first: it is what all others are replaced by.
        for octet in sorted(set(strange), key=_PLUS.__ne__):
            data = data.replace(b"%c" % octet, b"+%02X" % octet)
    return data


#  Of domains, clients and people, most have been here before.
_xtext = lru_cache(maxsize=2048)(_encode)


def record_size(data: bytes) -> int:
    """How many octets the record takes whose beginning `data` is; at least its first line is needed.

    Raises RecordError.
    """
    return _measure(data)[1]


def _measure(data: bytes) -> tuple[int, int]:
    """Where the first line ends and where the message begins."""
    if not data.startswith(_HEAD):
        raise RecordError("there is no Mercury-Envelope field at its head")
    end = data.find(b"\r\n")
    if end < 0:
        raise RecordError("the first line has no end")
    parts = data[len(_HEAD) : end].split(b" ", 3)
    if parts[0] != VERSION:
        raise RecordError(f"its record is of version {parts[0][:20].decode('ascii', 'replace')}, we know version 1")
    _, _, octets = parts[2].partition(b",") if len(parts) == 4 else (b"", b"", b"")
    if not octets.isdigit() or len(octets) > 12:
        raise RecordError("the first line of its record is malformed")
    return end, end + 2 + int(octets)


def parse_record(data: bytes) -> tuple[Envelope, int]:
    """The envelope at the head of `data`, and where the message begins. Raises RecordError."""
    end, size = _measure(data)
    if len(data) < size:
        raise RecordError("its record is cut off")
    checksum, _, rest = data[len(_HEAD) + len(VERSION) + 1 : end].partition(b" ")
    if checksum != b"%08x" % crc32(data[end:size], crc32(rest)):
        raise RecordError("the checksum of its record is wrong")
    try:
        lines = data[end + 2 : size].decode(*_CODEC).split("\r\n")
        first = rest.decode(*_CODEC).split(" ")
        if int(first[0].partition(",")[0]) != len(lines) - 1 or lines.pop():
            raise RecordError("the number of its recipients is wrong")
        return _parse_fields(first[1:], tuple([_parse_recipient(line) for line in lines])), size
    except (KeyError, ValueError) as error:
        raise error if isinstance(error, RecordError) else RecordError(f"its record is malformed: {error}")


def _parse_fields(words: list[str], recipients: tuple[Recipient, ...]) -> Envelope:
    fields = _split_fields(words)
    sender = fields["from"]
    get = fields.get
    ret = get("ret")
    return Envelope(
        id=_plain(fields["id"]),
        sender=None if sender == "<>" else _parse_address(sender),
        recipients=recipients,
        arrived=float(fields["arrived"]),
        site=_plain(get("site", "")),
        body=_BODY[get("body", "7BIT")],
        smtputf8="smtputf8" in fields,
        requiretls="requiretls" in fields,
        ret=_RETURN[ret] if ret else None,
        envid=_plain(get("envid", "")),
        login=_plain(get("login", "")),
        client=_plain(get("client", "")),
        priority=int(get("priority", "0")),
        cause=_plain(get("cause", "")),
        tls_optional="tlsoptional" in fields,
    )


def _split_fields(words: list[str]) -> dict[str, str]:
    fields = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise RecordError("a field of its record has no value")
        fields[key] = value
    return fields


def _parse_recipient(line: str) -> Recipient:
    if not line.startswith("Mercury-To: "):
        raise RecordError("a line of its record is no Mercury-To field")
    address, *words = line[12:].split(" ")
    if not words:
        return Recipient(_parse_address(address))
    fields = _split_fields(words)
    notify = fields.get("notify")
    return Recipient(
        _parse_address(address),
        tuple([_NOTIFY[word] for word in notify.split(",")]) if notify else (),
        _plain(fields.get("orcpt", "")),
    )


def _parse_address(text: str) -> Address:
    local, at, domain = text.partition("@")
    if not at:
        raise RecordError("an address of its record has no @")
    local, domain = _plain(local), _plain(domain)
    #  These go into SMTP commands. Nothing that could end one may come out of a file, whoever wrote it.
    if not local.isprintable() and len(data := local.encode(*_CODEC)) != len(data.translate(None, _CONTROLS)):
        raise RecordError("an address of its record holds a control character")
    if domain.encode(*_CODEC).translate(None, _DOMAIN_CHARS):
        raise RecordError("an address of its record has a malformed domain")
    return Address(local, domain)


def _plain(value: str) -> str:
    if "+" not in value:
        return value
    first, *rest = value.encode(*_CODEC).split(b"+")
    return (first + b"".join([bytes.fromhex(part[:2].decode("ascii")) + part[2:] for part in rest])).decode(*_CODEC)
