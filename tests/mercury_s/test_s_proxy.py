"""The PROXY protocol: both versions however they are cut, nothing that is nearly right, and only from proxies."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mercury_s.proxied import ProxiedListener
from mercury_s.proxy import Introduction, ProxyFault, ProxyHeader, _crc32c

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = (
    ipaddress.ip_address("192.0.2.7").packed
    + ipaddress.ip_address("198.51.100.1").packed
    + struct.pack("!HH", 5000, 25)
)
SIX = (
    ipaddress.ip_address("2001:db8::7").packed
    + ipaddress.ip_address("2001:db8::1").packed
    + struct.pack("!HH", 5000, 25)
)
MAPPED = ipaddress.ip_address("::ffff:192.0.2.7").packed + bytes(16) + struct.pack("!HH", 5000, 25)


def block(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def checked(body: bytes, wrong: int = 0) -> bytes:
    plain = block(0x21, 0x11, body + b"\x03\x00\x04" + bytes(4))
    return plain[:-4] + struct.pack("!I", _crc32c(plain) ^ wrong)


def read(data: bytes) -> Introduction | None:
    return ProxyHeader().feed(data)


GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\n", "192.0.2.7", 5000),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 5000 25\r\n", "2001:db8::7", 5000),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5000 25\r\n", "192.0.2.7", 5000),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 0 25\r\n", "192.0.2.7", 0),
    (b"PROXY UNKNOWN\r\n", "", 0),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", 0),
    (block(0x21, 0x11, FOUR), "192.0.2.7", 5000),
    (block(0x21, 0x21, SIX), "2001:db8::7", 5000),
    (block(0x21, 0x21, MAPPED), "192.0.2.7", 5000),
    (block(0x21, 0x11, FOUR + b"\x04\x00\x03abc\x01\x00\x00"), "192.0.2.7", 5000),
    (block(0x20, 0x00, b""), "", 0),
    (block(0x20, 0x11, b"anything"), "", 0),
    (block(0x21, 0x00, b"anything"), "", 0),
    (checked(FOUR), "192.0.2.7", 5000),
]


@pytest.mark.parametrize(("header", "address", "port"), GOOD)
def test_a_header_is_read_however_it_is_cut(header: bytes, address: str, port: int) -> None:
    expected = Introduction(address, port, b"EHLO x\r\n")
    assert read(header + b"EHLO x\r\n") == expected
    reader = ProxyHeader()
    for position in range(len(header) - 1):
        assert reader.feed(header[position : position + 1]) is None
    assert reader.feed(header[-1:] + b"EHLO x\r\n") == expected


BAD = [
    b"EHLO x\r\n",
    b"PROXX",
    b"proxy TCP4 192.0.2.7 198.51.100.1 5000 25\r\n",
    b" PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 5000 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 5000\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25 1\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 5000 25\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.1 5000 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 5000 25\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 5000 25\r\n",
    b"PROXY TCP6 fe80::1%lo ::1 5000 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 +500 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 0500 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 500 x\r\n",
    b"PROXY TCP4 \xd9\xa1.0.2.7 198.51.100.1 500 25\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 5000 25\r\n",
    b"PROXY \r\n",
    b"PROXY " + b"x" * 101,
    b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    block(0x11, 0x11, FOUR),
    block(0x22, 0x11, FOUR),
    block(0x21, 0x12, FOUR),
    block(0x21, 0x31, bytes(216)),
    block(0x21, 0x11, FOUR[:-1]),
    block(0x21, 0x21, FOUR),
    block(0x21, 0x11, FOUR, 4097),
    block(0x20, 0x00, b"", 65535),
    block(0x21, 0x11, FOUR + b"\x04"),
    block(0x21, 0x11, FOUR + b"\x04\x00"),
    block(0x21, 0x11, FOUR + b"\x04\x00\x05abc"),
    block(0x21, 0x11, FOUR + b"\x03\x00\x03abc"),
    checked(FOUR, wrong=1),
    b"\r\n\r\n\x00\r\nQUIT\r",
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_nearly_right_is_wrong(data: bytes) -> None:
    with pytest.raises(ProxyFault):
        read(data)
    reader = ProxyHeader()
    with pytest.raises(ProxyFault):
        for octet in data:
            assert reader.feed(bytes([octet])) is None


def test_the_checksum_is_that_of_castagnoli() -> None:
    assert _crc32c(b"123456789") == 0xE3069283


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=64), st.booleans(), st.integers(0, 65535))
def test_nothing_else_breaks_it(body: bytes, is_block: bool, length: int) -> None:
    data = block(0x21, 0x11, body, length) if is_block else b"PROXY " + body
    try:
        introduction = read(data)
    except ProxyFault:
        return
    assert introduction is None or data.endswith(introduction.rest)


# ---- on a connection ---------------------------------------------------------------------------------------------------


class Inner(Protocol):
    def __init__(self, address: Any) -> None:
        self.address, self.heard = address, b""

    def connectionMade(self) -> None:
        self.transport.write(b"220 hello\r\n")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class InnerFactory(Factory):
    def __init__(self) -> None:
        self.made: list[Inner] = []

    def buildProtocol(self, address: Any) -> Inner:
        self.made.append(Inner(address))
        return self.made[-1]


class Connection:
    def __init__(self, peer: str) -> None:
        self.clock, self.inner = Clock(), InnerFactory()
        listener = ProxiedListener(self.inner, [ipaddress.ip_network("10.0.0.0/24")], self.clock)  # type: ignore[arg-type]
        self.transport: Any = StringTransport()
        self.transport.protocol = listener.buildProtocol(IPv4Address("TCP", peer, 999))
        self.transport.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        self.transport.protocol.dataReceived(data)


def test_a_proxied_connection_is_its_clients_from_the_header_on() -> None:
    connection = Connection("10.0.0.9")
    assert not connection.inner.made and not connection.transport.value()
    connection.say(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\nEH")
    connection.say(b"LO x\r\n")
    [inner] = connection.inner.made
    assert (inner.address.host, inner.address.port, inner.heard) == ("192.0.2.7", 5000, b"EHLO x\r\n")
    assert connection.transport.value() == b"220 hello\r\n"
    assert not connection.clock.getDelayedCalls()


def test_a_health_check_of_the_proxy_is_the_proxys_own() -> None:
    connection = Connection("10.0.0.9")
    connection.say(block(0x20, 0, b""))
    assert connection.inner.made[0].address.host == "10.0.0.9"


@pytest.mark.parametrize("data", [b"EHLO x\r\n", b"PROXY TCP4 nonsense\r\n"])
def test_a_bad_header_is_answered_with_nothing(data: bytes) -> None:
    connection = Connection("10.0.0.9")
    connection.say(data)
    assert connection.transport.disconnected and not connection.transport.value() and not connection.inner.made


def test_a_header_that_does_not_come_is_waited_for_in_vain() -> None:
    connection = Connection("10.0.0.9")
    connection.say(b"PROXY TCP4")
    connection.clock.advance(10)
    assert connection.transport.disconnected and not connection.inner.made


def test_who_is_no_proxy_is_a_client_and_its_header_is_not_read() -> None:
    connection = Connection("192.0.2.66")
    connection.say(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\n")
    [inner] = connection.inner.made
    assert (inner.address.host, inner.heard[:10]) == ("192.0.2.66", b"PROXY TCP4")
