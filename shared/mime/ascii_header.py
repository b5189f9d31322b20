"""Header fields beyond ASCII, said in ASCII where that is sound (RFC 2047 §5, RFC 2231, after RFC 6857).

Sound: names and comments in encoded words, the domain of an address in its A-labels, parameters in RFC 2231's form,
and every field that no RFC gives a structure (RFC 5322 §3.6.8) as text. A local part, a Message-ID or anything else
that has no other spelling is `Unsound`: the mail must go back. Not here: which mail this happens to (survey.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.mail.address import AddressError, to_ascii
from shared.mail.field import Field, split_fields
from shared.mime.encoded_word import charset_of, decode_octets, encode_text, octets_of

#  A structured field longer than this is not taken apart.
LONGEST_FIELD = 16 * 1024
_LINE = 76

_RESENT = ("from", "sender", "to", "cc", "bcc", "reply-to")
_NAMES = frozenset(
    [*_RESENT, *(f"resent-{name}" for name in _RESENT), "disposition-notification-to", "return-receipt-to",
     "errors-to", "mail-followup-to", "mail-reply-to", "keywords", "list-id"]
)  # fmt: skip
_STRUCTURED = frozenset(
    ["date", "resent-date", "message-id", "resent-message-id", "in-reply-to", "references", "mime-version",
     "received", "return-path", "delivered-to", "content-id", "content-transfer-encoding", "content-location",
     "content-base", "content-language", "dkim-signature", "authentication-results", "received-spf", "arc-seal",
     "arc-message-signature", "arc-authentication-results", "auto-submitted", "list-unsubscribe", "list-post",
     "list-help", "list-subscribe", "list-owner", "list-archive", "list-unsubscribe-post", "autocrypt",
     "tls-required"]
)  # fmt: skip
_PARAMETERS = frozenset(["content-type", "content-disposition"])

_TOKEN = re.compile(
    r'(?P<space>[ \t]+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<angle><[^<>"()]*>)|(?P<special>[,;:])'
    r'|(?P<word>[^ \t"<>,;:()]+)|(?P<odd>.)',
    re.DOTALL,
)
_PARAMETER = re.compile(r';([ \t]*)([^ \t=;"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"]*)', re.DOTALL)
_RECEIVED_FOR = re.compile(r"[ \t]+for[ \t]+<[^<>]*>", re.IGNORECASE)
#  RFC 2231 §7   attribute-char
_ATTRIBUTE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")
_PERCENT = [chr(octet) if octet in _ATTRIBUTE else f"%{octet:02X}" for octet in range(256)]


class Unsound(ValueError):
    """It cannot be said in ASCII without saying something else; the message names the field."""


def ascii_header(header: bytes, lenient: bool = False) -> bytes:
    """`header` with every field in ASCII; those that are it already keep their octets. Raises Unsound.

    `lenient`: for a copy that only people read (in a report): what has no sound form goes as text.
    """
    return b"".join([field.raw if field.raw.isascii() else _ascii_field(field, lenient) for field in _all(header)])


def _all(header: bytes) -> Iterator[Field]:
    size = 0
    for field in split_fields(header):
        size += len(field.raw)
        yield field
    if size < len(header):
        yield Field(b"", header[size:])


def _ascii_field(field: Field, lenient: bool) -> bytes:
    if not field.name:
        if lenient:
            return field.raw.decode("ascii", "replace").replace("\ufffd", "?").encode()
        raise Unsound("a line of the header is no field")
    label, _, _ = field.raw.partition(b":")
    text = decode_octets(field.body.replace(b"\r\n", b""))
    name = field.name.decode()
    try:
        value = _ascii_value(name, text)
        if not value.isascii():
            raise Unsound(f"the field {label.decode().strip()} has no form in ASCII")
    except Unsound:
        if not lenient:
            raise
        value = encode_text(text)
    return _folded(label.decode() + ":", value)


def _ascii_value(name: str, text: str) -> str:
    if name not in _NAMES and name not in _STRUCTURED and name not in _PARAMETERS:
        return encode_text(text)
    if len(text) > LONGEST_FIELD:
        raise Unsound(f"the field {name} is too long to be converted")
    if name in _PARAMETERS:
        return _parameters(name, text)
    if name == "received":
        #  RFC 6857 §3.1.10: the clause that names a recipient beyond ASCII is left out.
        text = _RECEIVED_FOR.sub(lambda found: found[0] if found[0].isascii() else "", text)
    return _structured(name, text)


def _structured(name: str, text: str) -> str:
    """Names and comments in encoded words; of an address the domain only."""
    out: list[str] = []
    phrase: list[tuple[str, str]] = []
    for kind, token in [*_tokens(text), ("end", "")]:
        if kind in ("space", "quoted", "word"):
            phrase.append((kind, token))
            continue
        is_name = kind == "angle" or token == ":"
        out.append(_phrase(name, phrase, is_name))
        phrase = []
        if token.isascii():
            out.append(token)
        elif kind == "comment":
            out.append("".join(_comment(token)))
        elif kind == "angle" and name in _NAMES:
            out.append(f"<{_address(name, token[1:-1])}>")
        else:
            raise Unsound(f"the field {name} has no form in ASCII")
    return "".join(out)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        if text[at] == "(":
            end = _end_of_comment(text, at)
            yield "comment", text[at:end]
            at = end
            continue
        found = _TOKEN.match(text, at)
        assert found is not None and found.lastgroup is not None
        yield found.lastgroup, found[0]
        at = found.end()


def _end_of_comment(text: str, start: int) -> int:
    depth, at = 0, start
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return len(text)


def _comment(token: str) -> Iterator[str]:
    for part in re.split(r"([()])", re.sub(r"\\([^()])", r"\1", token)):
        if part.isascii():
            yield part
            continue
        inner = part.strip(" \t")
        start = part.index(inner)
        yield part[:start] + encode_text(inner) + part[start + len(inner) :]


def _phrase(name: str, tokens: list[tuple[str, str]], is_name: bool) -> str:
    text = "".join(token for _, token in tokens)
    if text.isascii():
        return text
    if name not in _NAMES:
        raise Unsound(f"the field {name} has no form in ASCII")
    if not is_name and any(kind == "word" and "@" in token for kind, token in tokens):
        return "".join(token if token.isascii() else _address(name, token) for _, token in tokens)
    inner = "".join(_unquoted(token) if kind == "quoted" else token for kind, token in tokens)
    core = inner.strip(" \t")
    lead = " " if tokens[0][0] == "space" else ""
    return lead + encode_text(core, whole=True) + (" " if is_name else "")


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _address(name: str, text: str) -> str:
    """RFC 5891: a domain has other letters; a local part has none (RFC 6531 §3.2)."""
    local, at, domain = text.rpartition("@")
    if not at or not local.isascii():
        raise Unsound(f"the field {name} holds an address beyond ASCII")
    try:
        return f"{local}@{to_ascii(domain.strip())}"
    except (AddressError, UnicodeError):
        raise Unsound(f"the field {name} holds a domain that is no valid name") from None


def _parameters(name: str, text: str) -> str:
    """RFC 2231 §4, in pieces where the value is long (§3)."""

    def said(found: re.Match[str]) -> str:
        attribute, value = found[2], found[3].strip()
        if found[0].isascii():
            return found[0]
        if not attribute.isascii() or "*" in attribute:
            raise Unsound(f"the field {name} has no form in ASCII")
        value = _unquoted(value) if value.startswith('"') else value
        coded = [_PERCENT[octet] for octet in octets_of(value)]
        lines = ["".join(coded[at : at + 18]) for at in range(0, len(coded), 18)]
        lines[0] = f"{charset_of(value)}''{lines[0]}"
        if len(lines) == 1:
            return f"; {attribute}*={lines[0]}"
        return "".join(f"; {attribute}*{number}*={line}" for number, line in enumerate(lines))

    return _PARAMETER.sub(said, text)


def _folded(label: str, value: str) -> bytes:
    """Lines of 76 where white space allows it (RFC 2047 §2)."""
    lines = [label]
    for piece in re.findall(r"[ \t]*[^ \t]+", value):
        if len(lines[-1]) + len(piece) > _LINE and piece[0] in " \t":
            lines.append(piece)
        else:
            lines[-1] += piece
    return "\r\n".join(lines).encode() + b"\r\n"
