"""The pump: bytes both ways at once, large bodies as fast as they are read, and deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet import error
from wires import BUFFER, EHLO, TAKEN, Net, Peer, only

from shared.mail.content import BytesContent
from shared.mail.outcome import Deferred, Delivered, Failed
from shared.routing.next_hop import NextHop, Tls
from shared.transport.pool import PoolLimits

LARGE = b"x" * 98 + b"\r\n"
LARGE *= 9_000
CHUNK_EHLO = ("250-mx.example", "250-PIPELINING", "250 CHUNKING")


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        asyncio.run(asyncio.wait_for(scene(), 20))

    test.__name__ = scene.__name__
    return test


async def begin(net: Net, ehlo: tuple[str, ...] = EHLO) -> tuple[Any, Peer]:
    """A large message is invited; nothing of it has been read yet."""
    leg = net.carry(content=BytesContent(LARGE))
    peer = await net.accept()
    await peer.hear("220 mx.example", *ehlo)
    for line in TAKEN if ehlo is EHLO else TAKEN[:2]:
        peer.wire.protocol.dataReceived(line.encode() + b"\r\n")
    return leg, peer


class EagerSocket:
    """A peer that reads faster than anybody can write."""

    connected = True
    dataBuffer = b""
    _tempDataBuffer = ()

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writeSomeData(self, data: bytes) -> int:
        self.pieces.append(data)
        return len(data)

    def take(self) -> bytes:
        data, self.pieces = b"".join(self.pieces), []
        return data


@played
async def test_a_peer_that_reads_fast_is_not_served_without_end() -> None:
    net, eager = Net(limits=PoolLimits(1, 1)), EagerSocket()
    leg = net.carry(content=BytesContent(LARGE))
    peer = await net.accept()
    await peer.hear("220 mx.example", *EHLO)
    peer.wire.protocol._socket = eager
    for line in TAKEN:
        peer.wire.protocol.dataReceived(line.encode() + b"\r\n")
    received, turns = b"", 0
    while not received.endswith(b"\r\n.\r\n"):
        assert len(eager.pieces) <= 9, "others wait"
        #  The reactor's turn: what was given to it goes out, and only then more.
        received += eager.take() + peer.wire.read()
        turns += 1
    assert turns == 2 and received == LARGE + b".\r\n"
    peer.wire.protocol._socket = None
    await peer.hear("250 ok")
    assert type(only(await leg)) is Delivered


@played
async def test_a_large_message_is_sent_as_fast_as_it_is_read() -> None:
    for ehlo in (EHLO, CHUNK_EHLO):
        net = Net(limits=PoolLimits(1, 1))
        leg, peer = await begin(net, ehlo)
        received, most = b"", 0
        while piece := peer.wire.read():
            most = max(most, len(piece))
            received += piece
        assert most < BUFFER + 2 * 262144 + 100, "what is not read yet is not piled up in memory"
        if ehlo is EHLO:
            assert received == LARGE + b".\r\n"
        else:
            assert received.replace(b"BDAT 262144\r\n", b"").replace(b"BDAT 113568 LAST\r\n", b"") == LARGE
        assert peer.wire.producer is None
        await peer.hear(*["250 2.0.0 ok"] * (1 if ehlo is EHLO else 4))
        assert isinstance(only(await leg), Delivered)


@played
async def test_an_answer_is_heard_while_we_are_speaking() -> None:
    net = Net(limits=PoolLimits(1, 1))
    leg, peer = await begin(net)
    await peer.hear("554 5.7.1 spam")
    outcome = only(await leg)
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.7.1"
    assert peer.wire.closed and not peer.wire.read().endswith(b"\r\n.\r\n")


@played
async def test_a_peer_that_reads_nothing_is_given_up() -> None:
    net = Net(limits=PoolLimits(1, 1))
    leg, peer = await begin(net)
    await net.later(179)
    assert not leg.done()
    peer.wire.read()
    await net.later(179)
    assert not leg.done(), "it has read something"
    await net.later(2)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and not outcome.maybe_delivered
    assert "waited 180 s for it to read" in outcome.reply.text
    assert peer.wire.closed == "aborted"


@played
async def test_the_last_answer_has_ten_minutes_and_not_one_more_for_every_octet() -> None:
    net = Net(limits=PoolLimits(1, 1))
    leg = net.carry()
    peer = await (await net.accept()).open()
    await peer.hear(*TAKEN)
    for octet in b"250-2.0.":
        await net.later(70)
        peer.wire.protocol.dataReceived(bytes([octet]))
    assert not leg.done()
    await net.later(41)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and outcome.maybe_delivered


@played
async def test_a_handshake_that_stalls_is_given_up() -> None:
    net = Net()
    leg = net.carry(NextHop("relay.example", 465, Tls.VERIFY, implicit_tls=True))
    peer = await net.accept()
    await net.later(61)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.7.5"
    assert peer.wire.closed == "aborted"


@played
async def test_a_connection_broken_while_the_body_is_written() -> None:
    net = Net(limits=PoolLimits(1, 1))
    leg, peer = await begin(net)
    peer.wire.read()
    await peer.close(error.ConnectionLost())
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and not outcome.maybe_delivered
    assert outcome.reply.text.endswith("lost the connection (the connection broke)")


@played
async def test_no_timer_outlives_its_connection() -> None:
    net = Net(limits=PoolLimits(1, 1, idle_time=4.0))
    leg = net.carry()
    peer = await (await net.accept()).open()
    await peer.take()
    await leg
    await peer.close()
    assert net.reactor.getDelayedCalls() == []
