"""What is said to a directory, in octets (RFC 4511, the BER subset of its §5.1): bind, search, StartTLS, answers.

No I/O. Not here: what is asked in which order (directory.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.config.directory_filter import Equal, Every, Filter, Present, Some, Without
from shared.mail.record import dataclass

START_TLS = b"1.3.6.1.4.1.1466.20037"
SUCCESS = 0
LONGEST_MESSAGE = 256 * 1024

_INTEGER, _OCTETS, _ENUMERATED, _BOOLEAN, _SEQUENCE = 0x02, 0x04, 0x0A, 0x01, 0x30
_BIND, _BIND_ANSWER, _UNBIND, _SEARCH, _ENTRY, _DONE = 0x60, 0x61, 0x42, 0x63, 0x64, 0x65
_EXTENDED, _EXTENDED_ANSWER = 0x77, 0x78
_SUBTREE, _NEVER_DEREFERENCE = b"\x02", b"\x00"


class WireFault(ValueError):
    """What the directory says is no LDAP."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an answer; `code` 0 is success, 49 is a wrong name or password."""

    code: int


@dataclass(frozen=True, slots=True)
class Entry:
    """`attributes` by lower-case name, each with its first value."""

    name: str
    attributes: dict[str, str]


def bind(number: int, name: str, password: str) -> bytes:
    simple = _tlv(0x80, password.encode())
    return _message(number, _tlv(_BIND, _integer(3) + _tlv(_OCTETS, name.encode()) + simple))


def unbind(number: int) -> bytes:
    return _message(number, _tlv(_UNBIND, b""))


def start_tls(number: int) -> bytes:
    return _message(number, _tlv(_EXTENDED, _tlv(0x80, START_TLS)))


def search(number: int, base: str, wanted: Filter, attribute: str, seconds: int) -> bytes:
    """For at most two entries: one is the answer, two are one too many."""
    parts = [
        _tlv(_OCTETS, base.encode()),
        _tlv(_ENUMERATED, _SUBTREE),
        _tlv(_ENUMERATED, _NEVER_DEREFERENCE),
        _integer(2),
        _integer(seconds),
        _tlv(_BOOLEAN, b"\0"),
        _filter(wanted),
        _tlv(_SEQUENCE, _tlv(_OCTETS, attribute.encode())),
    ]
    return _message(number, _tlv(_SEARCH, b"".join(parts)))


def size_of(head: bytes) -> int | None:
    """The size of the message that begins so, its head included; None: more octets are needed. Raises WireFault."""
    if head[:1] not in (b"", b"\x30"):
        raise WireFault("no message begins so")
    if len(head) < 2 or (head[1] & 0x80 and len(head) < 2 + (head[1] & 0x7F)):
        return None
    begin, size = _length(head, 1)
    if begin + size > LONGEST_MESSAGE:
        raise WireFault("a message is too long")
    return begin + size


def parse(message: bytes) -> tuple[int, Entry | Result | None]:
    """The number of the question and what is answered; None for what does not matter here. Raises WireFault."""
    _, body = next(_parts(message))
    parts = _parts(body)
    try:
        _, number = next(parts)
        tag, content = next(parts)
        return int.from_bytes(number, "big"), _parse_answer(tag, content)
    except StopIteration:
        raise WireFault("a message ends too early")


def _parse_answer(tag: int, content: bytes) -> Entry | Result | None:
    if tag in (_BIND_ANSWER, _DONE, _EXTENDED_ANSWER):
        return Result(int.from_bytes(next(_parts(content))[1], "big"))
    if tag != _ENTRY:
        return None
    parts = _parts(content)
    name = next(parts)[1].decode("utf-8", "replace")
    attributes: dict[str, str] = {}
    for _, pair in _parts(next(parts)[1]):
        fields = _parts(pair)
        key = next(fields)[1].decode("utf-8", "replace").lower()
        value = next(_parts(next(fields)[1]), None)
        if value is not None:
            attributes[key] = value[1].decode("utf-8", "replace")
    return Entry(name, attributes)


def _filter(wanted: Filter) -> bytes:
    match wanted:
        case Equal():
            return _tlv(0xA3, _tlv(_OCTETS, wanted.attribute.encode()) + _tlv(_OCTETS, wanted.value))
        case Present():
            return _tlv(0x87, wanted.attribute.encode())
        case Every():
            return _tlv(0xA0, b"".join(map(_filter, wanted.parts)))
        case Some():
            return _tlv(0xA1, b"".join(map(_filter, wanted.parts)))
        case Without():
            return _tlv(0xA2, _filter(wanted.part))


def _message(number: int, operation: bytes) -> bytes:
    return _tlv(_SEQUENCE, _integer(number) + operation)


def _integer(number: int) -> bytes:
    return _tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag = data[at]
        begin, size = _length(data, at + 1)
        if tag & 0x1F == 0x1F or begin + size > len(data):
            raise WireFault("a part ends too early")
        yield tag, data[begin : begin + size]
        at = begin + size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Where the content begins, and its size."""
    if at >= len(data):
        raise WireFault("a part ends too early")
    first = data[at]
    if not first & 0x80:
        return at + 1, first
    count = first & 0x7F
    if not 1 <= count <= 4 or at + 1 + count > len(data):
        raise WireFault("a length makes no sense")
    return at + 1 + count, int.from_bytes(data[at + 1 : at + 1 + count], "big")
