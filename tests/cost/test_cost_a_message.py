"""What a message costs in instructions of the interpreter, from its first command to its last trace.

A guard, not a benchmark: no clock is looked at. Who makes the way of a message dearer by more than a tenth changes the
number here in the same commit and says in its body what the price buys. Who makes it cheaper lowers the number.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from fakes.counting import Instructions
from fakes.doors import make_door
from fakes.runs import Run, run
from fakes.spools import TestSpool
from transport.wires import Net
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from mercury_s.door import ListenerTerms, Visitors
from mercury_s.listener import SmtpListener

RECEIVE_A_CONNECTION = 7940
RECEIVE_KEPT = 5460
QUEUE = 2330
CARRY = 3470

MESSAGES = 20
CONTENT = b"Subject: cost\r\nFrom: a@x.example\r\n\r\n" + b"x" * 70 + b"\r\n.\r\n"

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the numbers are those of CPython 3.11")


def compare(counted: Instructions, known: int, messages: int = MESSAGES) -> None:
    cost = counted.total // messages
    dearest = ", ".join(f"{name} {count // messages}" for name, count in list(counted.by_file.items())[:12])
    assert cost <= known * 1.10, f"a message costs {cost} instructions, not {known} as before: {dearest}"
    assert cost >= known * 0.90, f"a message costs only {cost} instructions now: lower the number, {known}"


class Wire(StringTransportWithDisconnection):
    """A transport with a descriptor."""

    def fileno(self) -> int:
        return 20


class House:
    """A listener on a spool on disk."""

    def __init__(self, root: Path) -> None:
        door = make_door(depositor=TestSpool(root).depositor)
        terms = ListenerTerms(is_submission=False, starttls=True)
        clock = Clock()
        self.listener = SmtpListener(lambda: door, lambda: terms, Visitors(), lambda: None, clock)  # type: ignore[arg-type]
        self.listener.most_descriptors = 900

    def connect(self) -> Wire:
        protocol = self.listener.buildProtocol(IPv4Address("TCP", "198.51.100.9", 4000))
        wire = Wire()  # type: ignore[no-untyped-call]
        wire.protocol = protocol
        protocol.makeConnection(wire)  # type: ignore[no-untyped-call]
        wire.protocol.dataReceived(b"EHLO pc.example\r\n")
        return wire

    def give(self, wire: Wire) -> None:
        for piece in (b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<alice@test.example>\r\n", b"DATA\r\n", CONTENT):
            wire.protocol.dataReceived(piece)
        assert b"queued as" in wire.value().splitlines()[-1]

    def visit(self) -> None:
        wire = self.connect()
        self.give(wire)
        wire.protocol.dataReceived(b"QUIT\r\n")
        assert wire.value().splitlines()[-1].startswith(b"221")


def test_receive_one_message_a_connection(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.visit()
    with Instructions() as counted:
        for _ in range(MESSAGES):
            house.visit()
    compare(counted, RECEIVE_A_CONNECTION)


def test_receive_on_a_connection_that_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path)
    wire = house.connect()
    house.give(wire)
    with Instructions() as counted:
        for _ in range(MESSAGES):
            house.give(wire)
    compare(counted, RECEIVE_KEPT)


def test_the_queue_from_claim_to_retirement(tmp_path: Path) -> None:
    """Without what a carrier does, and without the start of a runner, which both runs have."""
    few, many = (_drain(tmp_path / str(number), number) for number in (5, 5 + MESSAGES))
    compare(many - few, QUEUE)


def _drain(root: Path, messages: int) -> Instructions:
    spool = TestSpool(root)
    counted = Instructions()

    def fill(stage: Run) -> None:
        for number in range(messages):
            spool.deposit(spool.envelope(f"u{number}@partner.example"))
        stage.loop.jump(60)  #  All are due at once, whatever the kernel's clock said when they were written.

    async def pass_through(stage: Run) -> None:
        with counted:
            await stage.hours(0.5)

    stage = run(pass_through, fill, disk=spool)
    assert len(stage.carrier.carried) == messages
    return counted


def test_the_transport_of_a_message_on_a_connection_that_is_open() -> None:
    counted = Instructions()

    async def carry() -> None:
        net = Net()
        first = net.carry()
        peer = await (await net.accept()).open()
        await peer.take()
        await first
        with counted:
            for _ in range(MESSAGES):
                message = net.carry()
                await net.settle()
                await peer.take()
                await message

    asyncio.run(carry())
    compare(counted, CARRY)
