"""LMTP over a unix socket: dialled by its path, used again, an outcome for each recipient."""

from __future__ import annotations

import asyncio

from twisted.internet.error import ConnectError
from twisted.python.failure import Failure
from wires import Net, Peer, Wire

from shared.mail.outcome import Deferred
from shared.routing.next_hop import NextHop, Tls

HOP = NextHop("localhost", 24, Tls.OFF, lmtp=True, socket_path="/run/secret/lmtp")
LHLO = ("250-me.example", "250-PIPELINING", "250 8BITMIME")


async def accept(net: Net) -> Peer:
    await net.settle()
    [(path, factory, _, _)] = net.reactor.unixClients
    assert path == "/run/secret/lmtp" and not net.reactor.tcpClients
    wire = Wire(net.reactor)
    wire.protocol = factory.buildProtocol(None)
    wire.protocol.makeConnection(wire)
    await net.settle()
    return Peer(net, wire, path)


def test_a_socket_is_dialled_and_used_again() -> None:
    async def run() -> None:
        net = Net()
        first = net.carry(HOP, to=("ann@x.example", "bob@x.example"))
        peer = await accept(net)
        assert await peer.hear("220 me.example LMTP ready") == ["LHLO me.example"]
        await peer.hear(*LHLO)
        await peer.hear("250 ok", "250 ok", "250 ok", "354 go")
        await peer.hear("250 2.0.0 ann", "451 4.2.0 bob is busy")
        assert [str(outcome.reply) for outcome in (await first).values()] == [
            "250 2.0.0 ann",
            "451 4.2.0 bob is busy",
        ]
        second = net.carry(HOP)
        await net.settle()
        assert peer.said()[0].startswith("MAIL FROM"), "no other connection, and no RSET"
        await peer.hear("250 ok", "250 ok", "354 go", "250 2.0.0 bob")
        assert len(await second) == 1
        assert len(net.reactor.unixClients) == 1 and not net.asked

    asyncio.run(run())


def test_a_socket_that_is_not_there_is_a_deferral_without_its_path() -> None:
    async def run() -> None:
        net = Net()
        task = net.carry(HOP)
        await net.settle()
        _, factory, _, _ = net.reactor.unixClients[0]
        factory.clientConnectionFailed(None, Failure(ConnectError(2, "No such file or directory")))
        [outcome] = (await task).values()
        assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.4.1"
        assert "secret" not in str(outcome.reply)

    asyncio.run(run())
