"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): for whom a connection is made.

Without I/O: octets in, the client out, when the header is whole. Strict, as whoever may send it says who a client is:
every length is checked, nothing is guessed, and no octet of it is answered. Who may send it is proxied.py.
"""

from __future__ import annotations

import ipaddress
import struct

from shared.mail.record import dataclass

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PREFIX = b"PROXY "
#  Version 1: the longest line there can be, its end included.
_LONGEST_LINE = 107
#  Version 2: 16 octets, then as many as they say. A proxy adds certificates' names at most; this has room for them.
_HEAD = 16
_LONGEST_BLOCK = 4096
_FAMILIES = {0x11: 4, 0x21: 16}
_TLV_CRC32C = 0x03


class ProxyFault(ValueError):
    """What came is no PROXY header; the connection is to be closed without a word."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """`address` is the client's; empty when the proxy speaks for itself, as in a health check. `rest` came behind."""

    address: str
    port: int
    rest: bytes


class ProxyHeader:
    """`feed` until it answers. Raises ProxyFault."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Introduction | None:
        data = self._data = self._data + data
        if data.startswith(_PREFIX):
            return _read_line(data)
        if data.startswith(_SIGNATURE):
            return _read_block(data)
        if _PREFIX.startswith(data) or _SIGNATURE.startswith(data):
            return None
        raise ProxyFault("it does not begin with a PROXY header")


# ---- version 1: a line of text ----------------------------------------------------------------------


def _read_line(data: bytes) -> Introduction | None:
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE or b"\n" in data:
            raise ProxyFault("its line has no end")
        return None
    words, rest = data[:end].split(b" "), data[end + 2 :]
    if words[1] == b"UNKNOWN":
        return Introduction("", 0, rest)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyFault("its line has other words than it should")
    size = 4 if words[1] == b"TCP4" else 16
    source, _ = _parse_address(words[2], size), _parse_address(words[3], size)
    port, _ = _parse_port(words[4]), _parse_port(words[5])
    return Introduction(source, port, rest)


def _parse_address(word: bytes, size: int) -> str:
    try:
        address = ipaddress.ip_address(word.decode("ascii"))
    except ValueError:
        raise ProxyFault("its address is none") from None
    if len(address.packed) != size or b"%" in word:
        raise ProxyFault("its address is of another family")
    return _plain(address)


def _parse_port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and word != b"0") or int(word) > 65535:
        raise ProxyFault("its port is none")
    return int(word)


# ---- version 2: octets ------------------------------------------------------------------------------


def _read_block(data: bytes) -> Introduction | None:
    if len(data) < _HEAD:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(_SIGNATURE))
    if command not in (0x20, 0x21):
        raise ProxyFault("its version or command is not known")
    if length > _LONGEST_BLOCK:
        raise ProxyFault("it is too long")
    if len(data) < _HEAD + length:
        return None
    block, rest = data[_HEAD : _HEAD + length], data[_HEAD + length :]
    if command == 0x20 or family == 0:
        return Introduction("", 0, rest)  #  what stands in the block is to be skipped then
    size = _FAMILIES.get(family)
    if size is None:
        raise ProxyFault("its family is not TCP over IP")
    addresses = 2 * size + 4
    if length < addresses:
        raise ProxyFault("it is shorter than its addresses")
    _check_extras(data[: _HEAD + length], _HEAD + addresses)
    (port,) = struct.unpack_from("!H", block, 2 * size)
    return Introduction(_plain(ipaddress.ip_address(block[:size])), port, rest)


def _check_extras(header: bytes, position: int) -> None:
    """They must fill the block exactly; a checksum among them must be right."""
    while position < len(header):
        if position + 3 > len(header):
            raise ProxyFault("its last extra is cut off")
        kind, length = struct.unpack_from("!BH", header, position)
        value = position + 3
        if value + length > len(header):
            raise ProxyFault("an extra is longer than the header")
        if kind == _TLV_CRC32C:
            if length != 4:
                raise ProxyFault("its checksum is none")
            (said,) = struct.unpack_from("!I", header, value)
            if said != _crc32c(header[:value] + bytes(4) + header[value + 4 :]):
                raise ProxyFault("its checksum is wrong")
        position = value + length


def _crc32c(data: bytes) -> int:
    """RFC 4960 appendix B, the polynomial of Castagnoli. Bit by bit: it is rare and short."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4 client that came to a proxy by an IPv6 socket is the same client."""
    return str(getattr(address, "ipv4_mapped", None) or address)
