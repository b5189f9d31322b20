"""Connections to one hop: how many, for whom, how long; and what a dead hop costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from wires import HOP, Net, answers, only

from shared.mail.content import BytesContent
from shared.mail.outcome import Deferred, Delivered
from shared.observe.log import log
from shared.routing.next_hop import NextHop, Tls
from shared.transport.pool import PoolLimits

OTHER = NextHop("other.example", 25, Tls.OFF)


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        asyncio.run(asyncio.wait_for(scene(), 20))

    test.__name__ = scene.__name__
    return test


@played
async def test_there_are_few_connections_at_first_and_more_after_successes() -> None:
    net = Net(limits=PoolLimits(first=2, most=4))
    legs = [net.carry() for _ in range(60)]
    await net.settle()
    assert len(net.dialled) == 2
    peers = [await (await net.accept()).open(), await (await net.accept()).open()]
    for _ in range(20):
        for peer in list(peers):
            if any(not leg.done() for leg in legs):
                await peer.take()
        legs += [net.carry()] if len(peers) < 4 else []
        await net.settle()
        while net.dialled:
            peers.append(await (await net.accept()).open())
    assert len(peers) == 4
    assert all(isinstance(it, Delivered) for it in await answers(leg for leg in legs if leg.done()))
    for leg in legs:
        leg.cancel()


@played
async def test_messages_take_their_turn_in_order() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    legs = [net.carry() for _ in range(5)]
    peer = await (await net.accept()).open()
    for number in range(5):
        assert [leg.done() for leg in legs] == [True] * number + [False] * (5 - number)
        await peer.take()
    assert all(leg.done() for leg in legs) and net.dialled == []


@played
async def test_a_dead_hop_is_answered_at_once_for_a_while() -> None:
    net = Net(limits=PoolLimits(first=1, most=4))
    waiting = [net.carry() for _ in range(10)]
    await net.refuse()
    assert all(isinstance(it, Deferred) for it in await answers(waiting)), "one failure answers all who waited"
    assert "connection refused" in only(await net.carry()).reply.text
    assert net.dialled == []
    await net.later(5.1)
    leg = net.carry()
    await net.refuse()
    assert isinstance(only(await leg), Deferred)
    await net.later(5.1)
    assert isinstance(only(await net.carry()), Deferred), "the second pause is longer"
    assert net.dialled == []
    await net.later(5.1)
    leg = net.carry()
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await leg), Delivered)


@played
async def test_a_hop_that_does_not_answer_holds_up_nobody_else() -> None:
    net = Net()
    stuck = net.carry()
    silent = await net.accept()
    other = net.carry(OTHER)
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await other), Delivered)
    for _ in range(29):
        await net.later(10)
        silent.wire.protocol.dataReceived(b"2")
    assert not stuck.done()
    await net.later(10.1)
    outcome = only(await stuck)
    assert isinstance(outcome, Deferred) and "waited 300 s for the answer to greeting" in outcome.reply.text
    assert silent.wire.closed == "aborted"


@played
async def test_a_connection_that_rests_says_goodbye() -> None:
    net = Net(limits=PoolLimits(first=1, most=1, idle_time=4.0))
    leg = net.carry()
    peer = await (await net.accept()).open()
    for pause in (3.0, 3.0):
        leg = leg if not leg.done() else net.carry()
        await net.settle()
        await peer.take()
        assert isinstance(only(await leg), Delivered)
        await net.later(pause)
        assert peer.said() == []
    await net.later(1.1)
    assert peer.said() == ["QUIT"]
    leg = net.carry()
    await net.settle()
    assert len(net.dialled) == 1, "who says goodbye carries nothing more"
    await peer.hear("221 bye")
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await leg), Delivered)


@played
async def test_a_server_that_does_not_say_goodbye_is_not_waited_for() -> None:
    net = Net(limits=PoolLimits(first=1, most=1, idle_time=4.0))
    leg = net.carry()
    peer = await (await net.accept()).open()
    await peer.take()
    await leg
    await net.later(4.1)
    await net.later(5.1)
    assert peer.wire.closed


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle too long", ""])
def test_a_message_that_finds_its_connection_closed_takes_another_at_once(farewell: str) -> None:
    async def scene() -> None:
        net = Net(limits=PoolLimits(first=1, most=1))
        leg = net.carry()
        peer = await (await net.accept()).open()
        await peer.take()
        await leg
        leg = net.carry()
        await net.settle()
        await (peer.hear(farewell) if farewell else peer.close())
        assert not leg.done() and len(net.dialled) == 1
        await (await (await net.accept()).open()).take()
        assert isinstance(only(await leg), Delivered)

    asyncio.run(scene())


@played
async def test_a_fresh_connection_that_closes_at_once_is_an_answer() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    leg = net.carry()
    await (await (await net.accept()).open()).hear("421 4.7.0 not you")
    assert only(await leg).reply.text == "not you"
    assert net.dialled == []


@played
async def test_a_server_that_takes_one_connection_only_gets_one() -> None:
    net = Net(limits=PoolLimits(first=3, most=3))
    legs = [net.carry() for _ in range(6)]
    peer = await (await net.accept()).open()
    for _ in range(2):
        await (await net.accept()).hear("421 4.7.0 too many connections")
    assert net.dialled == [] and not any(leg.done() for leg in legs)
    for _ in range(6):
        await peer.take()
        while net.dialled:
            await (await net.accept()).hear("421 4.7.0 too many connections")
    assert all(isinstance(it, Delivered) for it in await answers(legs))


@played
async def test_a_connection_closed_in_the_middle_makes_fewer_of_them() -> None:
    net = Net(limits=PoolLimits(first=4, most=4))
    legs = [net.carry() for _ in range(12)]
    await net.settle()
    peers = [await (await net.accept()).open() for _ in range(4)]
    for peer in peers:
        await peer.hear("250 ok", "421 4.3.2 overloaded")
    assert len(net.dialled) == 1
    assert sum(leg.done() for leg in legs) == 4
    for leg in legs:
        leg.cancel()


@played
async def test_a_server_that_says_how_many_messages_it_takes_gets_no_more() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    legs = [net.carry() for _ in range(4)]
    for _ in range(2):
        peer = await net.accept()
        await peer.hear("220 mx.example", "250-mx.example", "250-PIPELINING", "250 LIMITS MAILMAX=2")
        await peer.take()
        await peer.hear("250 ok", "250 ok", "354 go")
        assert await peer.hear("250 ok") == ["QUIT"]
        await peer.hear("221 bye")
    assert all(isinstance(it, Delivered) for it in await answers(legs))


@played
async def test_idle_connections_are_bounded_over_all_hops() -> None:
    net = Net(limits=PoolLimits(first=1, most=1, most_idle=2))
    peers = []
    for number in range(4):
        leg = net.carry(NextHop(f"mx{number}.example", 25, Tls.OFF))
        peer = await (await net.accept()).open()
        await peer.take()
        await leg
        peers.append(peer)
    assert [peer.said() for peer in peers] == [["QUIT"], ["QUIT"], [], []]


@played
async def test_messages_settled_without_a_byte_do_not_pile_up_on_the_stack() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    large = BytesContent(b"x" * 2_000_000)
    legs = [net.carry(content=large) for _ in range(1500)]
    last = net.carry()
    peer = await (await net.accept()).open()
    outcomes = [only(await leg) for leg in legs]
    assert {outcome.reply.enhanced for outcome in outcomes} == {"5.3.4"}
    await peer.take()
    assert isinstance(only(await last), Delivered)


@played
async def test_who_is_called_off_leaves_the_queue_and_disturbs_nobody() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    first, second, third = net.carry(), net.carry(), net.carry()
    peer = await (await net.accept()).open()
    second.cancel()
    first.cancel()
    await net.settle()
    await peer.take()
    await peer.take()
    assert isinstance(only(await third), Delivered)
    assert peer.said() == []


@played
async def test_a_fault_of_ours_leaves_nobody_waiting() -> None:
    net = Net()

    async def broken(host: str) -> Any:
        raise RuntimeError("this should not happen")

    net.addresses = broken  # type: ignore[method-assign]
    heard: list[str] = []
    with log.watched(lambda name, fields: heard.append(name)):
        outcome = only(await net.carry(HOP))
    assert isinstance(outcome, Deferred)
    assert "fault" in heard


@played
async def test_what_is_over_is_forgotten() -> None:
    net = Net(limits=PoolLimits(first=1, most=1))
    for number in range(3):
        leg = net.carry(NextHop(f"mx{number}.example", 25, Tls.OFF))
        await net.refuse()
        await leg
    await net.settle()
    assert not net.carrier.connections()


@played
async def test_a_server_that_puts_mail_off_gets_fewer_connections_and_one_that_takes_it_more() -> None:
    net = Net(limits=PoolLimits(first=3, most=3))
    legs = [net.carry() for _ in range(12)]
    await net.settle()
    peers = [await (await net.accept()).open() for _ in range(3)]
    said = [await peer.hear("451 4.7.1 slow down", "503 no", "503 no") for peer in peers]
    left = [peer for peer, lines in zip(peers, said, strict=True) if lines == ["QUIT"]]
    assert len(left) == 2, "one after each refusal, and one always stays"
    [stays] = [peer for peer in peers if peer not in left]
    for peer in left:
        await peer.hear("221 bye")
    assert net.dialled == []
    for _ in range(3):
        await stays.take()
    assert len(net.dialled) >= 1, "it grows again"
    for leg in legs:
        leg.cancel()
