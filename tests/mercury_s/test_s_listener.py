"""The listener's watch over its connections: times for each phase, the crowd, and who is turned away at the door."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.doors import make_door, make_porter
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from mercury_s.door import Door, ListenerTerms, Visitors
from mercury_s.listener import SmtpConnection, SmtpListener
from mercury_s.policy.patience import Patience
from mercury_s.throttle import Throttle
from shared.config.limits import ClientRates, Rates
from shared.config.rate import Rate
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable

HELLO = b"EHLO pc.example\r\n"
BEGIN = HELLO + b"MAIL FROM:<a@x.example>\r\nRCPT TO:<alice@test.example>\r\nDATA\r\n"
PATIENCE = Patience(command=300, content=180, rate=500, handshake=60, stress=10)


class Wire(StringTransportWithDisconnection):
    """A transport that closes at once, with a descriptor and a TCP option."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(IPv4Address("TCP", "192.0.2.25", 25))  # type: ignore[no-untyped-call]
        self.descriptor = descriptor
        self.is_aborted = False

    def fileno(self) -> int:
        return self.descriptor

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def startTLS(self, context: Any) -> None:
        pass

    def getHandle(self) -> None:
        return None

    def abortConnection(self) -> None:
        self.is_aborted = True
        self.loseConnection()  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(ConnectionDone()))


class House:
    """One listener with its clock, and the clients that come."""

    def __init__(self, terms: ListenerTerms | None = None, **changes: Any) -> None:
        self.clock = Clock()
        self.door: Door = make_door(patience=PATIENCE, **changes)
        self.terms = terms or ListenerTerms(is_submission=False, starttls=True)
        self.visitors = Visitors()
        self.listener = SmtpListener(
            lambda: self.door,
            lambda: self.terms,
            self.visitors,
            lambda: None,
            self.clock,  # type: ignore[arg-type]
        )
        self.listener.most_descriptors = 900

    def visit(self, address: str = "198.51.100.9", descriptor: int = 20) -> Wire:
        connection = self.listener.buildProtocol(IPv4Address("TCP", address, 4000))
        assert isinstance(connection, SmtpConnection)
        wire = Wire(descriptor)
        wire.protocol = connection
        connection.makeConnection(wire)  # type: ignore[no-untyped-call]
        return wire

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            self.clock.advance(step)

    def trickle(self, wire: Wire, seconds: int, every: int = 10, data: bytes = b"x") -> int:
        """An octet now and then: after how many seconds it was over."""
        for second in range(seconds):
            if not wire.connected:
                return second
            if second % every == 0:
                wire.protocol.dataReceived(data)
            self.clock.advance(1)
        return seconds


def site_of(network: str) -> RoutingTable:
    site = Site("hq", (ipaddress.ip_network(network),), Delivery.HOLD, ())
    return RoutingTable("mx.test.example", frozenset({"test.example"}), {"hq": site}, "hq")


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    for connection in list(made.listener.sessions):
        connection.transport.loseConnection()
    made.pass_time(2)
    assert made.clock.getDelayedCalls() == [], "every timer has gone with its connection"


def test_a_silent_client_has_the_time_of_a_command(house: House) -> None:
    wire = house.visit()
    house.pass_time(299)
    assert wire.connected
    house.pass_time(2)
    assert not wire.connected
    assert b"\r\n421 4.4.2 " in wire.value()


def test_an_octet_now_and_then_does_not_hold_a_session_in_a_command(house: House) -> None:
    assert house.trickle(house.visit(), 1000) in (300, 301)


def test_a_client_that_goes_on_has_its_time_anew(house: House) -> None:
    wire = house.visit()
    for _ in range(5):
        house.pass_time(250)
        wire.protocol.dataReceived(b"NOOP\r\n")
    assert wire.connected


def test_an_octet_now_and_then_does_not_hold_a_session_in_a_header_or_body(house: House) -> None:
    wire = house.visit()
    wire.protocol.dataReceived(BEGIN)
    assert house.trickle(wire, 1000) in range(180, 183)
    wire = house.visit()
    wire.protocol.dataReceived(BEGIN + b"Subject: x\r\n\r\n")
    assert house.trickle(wire, 1000) in range(180, 183)


def test_a_message_that_keeps_up_the_rate_may_take_its_time(house: House) -> None:
    wire = house.visit()
    wire.protocol.dataReceived(BEGIN + b"Subject: x\r\n\r\n")
    assert house.trickle(wire, 1000, every=10, data=b"x" * 5000) == 1000
    assert house.trickle(wire, 2000, every=10, data=b"x" * 100) in range(180, 190)


def test_a_pause_in_a_message_is_no_longer_than_its_grace(house: House) -> None:
    wire = house.visit()
    wire.protocol.dataReceived(BEGIN + b"Subject: x\r\n\r\n" + b"x" * 900_000)
    house.pass_time(179)
    assert wire.connected
    house.pass_time(3)
    assert not wire.connected


def test_the_time_of_a_message_begins_when_we_say_go_ahead(house: House) -> None:
    wire = house.visit()
    house.pass_time(170)
    wire.protocol.dataReceived(BEGIN)
    house.pass_time(170)
    assert wire.connected
    house.pass_time(12)
    assert not wire.connected


def test_a_deposit_that_takes_long_is_our_time(house: House) -> None:
    wire = house.visit()
    depositor: Any = house.door.depositor
    depositor.is_prompt = False
    wire.protocol.dataReceived(BEGIN + b"Subject: x\r\n\r\nx\r\n.\r\n")
    house.pass_time(2000)
    assert wire.connected
    depositor.settle()
    assert b"queued as" in wire.value()
    house.pass_time(299)
    assert wire.connected
    house.pass_time(200)
    assert not wire.connected


def test_a_handshake_that_never_ends_is_cut_without_a_word() -> None:
    house = House(ListenerTerms(is_submission=True, implicit_tls=True))
    wire = house.visit()
    house.pass_time(59)
    assert wire.connected
    house.pass_time(2)
    assert wire.is_aborted and not wire.connected


def test_a_handshake_that_ended_gives_the_time_of_a_command() -> None:
    house = House(ListenerTerms(is_submission=True, implicit_tls=True))
    wire = house.visit()
    house.pass_time(50)
    wire.protocol.handshakeCompleted()
    house.pass_time(299)
    assert wire.connected
    house.pass_time(62)
    assert not wire.connected


def test_starttls_has_the_time_of_a_handshake() -> None:
    house = House()
    wire = house.visit()
    wire.protocol.dataReceived(HELLO + b"STARTTLS\r\n")
    house.pass_time(59)
    assert wire.connected
    house.pass_time(3)
    assert wire.is_aborted


def test_a_crowd_leaves_strangers_little_time_and_those_we_know_theirs() -> None:
    house = House(most_sessions=10, most_sessions_of_client=10, table=site_of("10.0.0.0/8"))
    ours = house.visit("10.0.0.1")
    giver = house.visit("203.0.113.1")
    giver.protocol.dataReceived(BEGIN + b"Subject: x\r\n\r\nx\r\n.\r\n")
    strangers = [house.visit(f"198.51.100.{number}") for number in range(5)]
    house.pass_time(30)
    assert all(wire.connected for wire in strangers)
    assert not house.listener.is_crowded
    strangers.append(house.visit("198.51.100.99"))
    assert house.listener.is_crowded
    house.pass_time(12)
    assert [wire.connected for wire in strangers] == [False] * 5 + [True], "with the first five gone there is room"
    assert ours.connected and giver.connected
    assert not house.listener.is_crowded


def test_the_last_places_are_for_those_we_know() -> None:
    porter = make_porter()
    porter.remember("203.0.113.5")
    house = House(most_sessions=20, most_sessions_of_client=50, table=site_of("10.0.0.0/8"), porter=porter)
    for number in range(19):
        assert house.visit(f"198.51.100.{number}").connected
    assert b"421 4.3.2 " in house.visit("198.51.100.99").value()
    assert house.visit("203.0.113.5").connected
    assert b"421 4.3.2 " in house.visit("10.0.0.1").value(), "nobody comes in when all places are taken"


def test_descriptors_are_left_for_files() -> None:
    house = House(table=site_of("10.0.0.0/8"))
    wire = house.visit("10.0.0.1", descriptor=900)
    assert wire.value().startswith(b"421 4.3.2 ")
    assert not wire.connected
    assert house.visit("10.0.0.1", descriptor=899).connected
    assert house.visitors.sessions == 1


def test_a_network_has_its_share() -> None:
    house = House(most_sessions_of_network=3)
    for number in range(3):
        assert house.visit(f"198.51.100.{number}").connected
    refused = house.visit("198.51.100.200")
    assert refused.value().startswith(b"421 4.7.0 Too many sessions from your network")
    assert house.visit("198.51.101.1").connected


def test_the_counts_of_networks_go_down_again() -> None:
    house = House(most_sessions_of_network=1)
    for _ in range(3):
        wire = house.visit()
        assert wire.connected
        wire.loseConnection()
    assert not house.visitors.of_network and not house.visitors.of_client


def test_connections_have_their_rate_and_a_site_is_not_counted() -> None:
    slow = Throttle(Rates(client=ClientRates(connections=Rate(2, 60.0))), lambda: 1000.0)
    house = House(throttle=slow, table=site_of("10.0.0.0/8"))
    assert [house.visit().connected for _ in range(3)] == [True, True, False]
    assert all(house.visit("10.0.0.1").connected for _ in range(5))


class Refusing:
    """A porter's blacklist that holds everybody."""

    def find(self, address: str) -> Any:
        from shared.state.blacklist import FOREVER, Entry

        return Entry(ipaddress.ip_network("0.0.0.0/0"), "all", 0.0, FOREVER)

    def add(self, address: str, reason: str, seconds: float | None) -> Any:
        raise AssertionError


def test_who_is_on_the_blacklist_is_turned_away_and_a_site_is_not() -> None:
    porter = make_porter()
    porter.blacklist = Refusing()
    house = House(porter=porter, table=site_of("10.0.0.0/8"))
    assert house.visit().value().startswith(b"554 5.7.1 Your address is blocked here")
    assert house.visit("10.0.0.1").connected
