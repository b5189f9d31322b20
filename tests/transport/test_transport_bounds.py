"""What one attempt may cost: two sessions, ten minutes, five addresses, however many hosts there are and whatever they
do. The clock is a false one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from fakes.zones import FakeResolver
from twisted.internet import error
from wires import EHLO, Net, only

from mercury_e.route import EndToEndPlanner
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Feedback
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable
from shared.smtp.feedback import feedback_of
from shared.transport.bounds import AttemptBounds
from shared.transport.pool import PoolLimits

HOPS = tuple(NextHop(f"mx{n}.example", 25, Tls.OFF, addresses=(f"192.0.2.{n}",)) for n in range(1, 9))


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        asyncio.run(asyncio.wait_for(scene(), 30))

    test.__name__ = scene.__name__
    return test


def network(**more: Any) -> Net:
    return Net(bounds=AttemptBounds(), **more)


async def pass_time(net: Net, seconds: int) -> None:
    for _ in range(0, seconds, 10):
        await net.later(10)


@pytest.mark.parametrize("last_word", ["421 4.3.2 overloaded", ""])
def test_after_two_sessions_that_break_off_nobody_else_is_asked(last_word: str) -> None:
    async def scene() -> None:
        net = network()
        leg = net.carry(*HOPS)
        for _ in range(2):
            peer = await (await net.accept()).open()
            await (peer.hear("250 ok", last_word) if last_word else peer.close())
        outcome = only(await leg)
        assert isinstance(outcome, Deferred) and outcome.host.startswith("mx2.example")
        assert net.dialled == []

    asyncio.run(asyncio.wait_for(scene(), 30))


@played
async def test_hosts_that_refuse_to_talk_or_cannot_be_reached_are_no_sessions() -> None:
    net = network()
    leg = net.carry(*HOPS)
    for _ in range(3):
        await (await net.accept()).hear("421 4.3.2 busy")
    await net.refuse()
    await (await (await net.accept()).open()).take()
    outcome = only(await leg)
    assert isinstance(outcome, Delivered) and outcome.host.startswith("mx5.example")


@played
async def test_hosts_that_take_the_connection_and_say_nothing_have_ten_minutes_together() -> None:
    net = network()
    leg = net.carry(*HOPS)
    await net.accept()
    await pass_time(net, 300)
    await net.accept()
    await pass_time(net, 290)
    assert not leg.done()
    await pass_time(net, 10)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and "mx2.example" in outcome.reply.text, outcome
    await pass_time(net, 60)
    assert net.dialled == []


@played
async def test_a_host_that_says_each_word_at_the_last_moment_has_no_more() -> None:
    net = network()
    leg = net.carry(HOPS[0])
    peer = await net.accept()
    await pass_time(net, 290)
    assert await peer.hear("220 mx.example ESMTP") == ["EHLO me.example"]
    await pass_time(net, 290)
    assert await peer.hear("502 what?") == ["HELO me.example"]
    await pass_time(net, 10)
    assert not leg.done()
    await pass_time(net, 10)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred)
    assert "mx1.example:25 did not answer in time (no session in the time" in outcome.detail
    [connector] = net.reactor.connectors
    assert connector._disconnected, "nobody waits for it any more"  # type: ignore[attr-defined]
    assert isinstance(only(await net.carry(HOPS[0])), Deferred), "and for a moment nobody tries it again"


@played
async def test_a_transfer_under_way_is_not_cut_short_and_the_rest_of_its_recipients_follow() -> None:
    net = network()
    leg = net.carry(HOPS[0], to=tuple(f"x{n}@x.example" for n in range(101)))
    peer = await net.accept()
    await pass_time(net, 290)
    await peer.hear("220 mx.example", *EHLO)
    await pass_time(net, 280)
    await peer.hear(*["250 ok"] * 101, "354 go")
    await pass_time(net, 590)
    assert not leg.done()
    await peer.hear("250 2.0.0 ok")
    await peer.close()
    await (await (await net.accept()).open()).take()
    assert {type(outcome) for outcome in (await leg).values()} == {Delivered}


@played
async def test_who_waits_too_long_for_a_connection_that_is_busy_leaves_it_alone() -> None:
    net = network(limits=PoolLimits(first=1, most=1))
    first, second = net.carry(HOPS[0]), net.carry(HOPS[0])
    peer = await net.accept()
    await peer.hear("220 mx.example", "250 mx.example")  #  no PIPELINING: one after the other
    for answer in ("250 ok", "250 ok", "354 go"):
        await pass_time(net, 100)
        await peer.hear(answer)
    await pass_time(net, 290)
    late = net.carry(HOPS[0])
    assert not second.done()
    await pass_time(net, 10)
    assert isinstance(only(await second), Deferred)
    await peer.hear("250 2.0.0 ok")
    assert isinstance(only(await first), Delivered)
    for answer in ("250 ok", "250 ok", "354 go", "250 2.0.0 ok"):
        await peer.hear(answer)
    assert isinstance(only(await late), Delivered)
    assert net.dialled == []


@played
async def test_who_is_called_off_leaves_no_timer_behind() -> None:
    net = network(limits=PoolLimits(first=1, most=1))
    leg = net.carry(HOPS[0])
    await net.settle()
    leg.cancel()
    peer = await (await net.accept()).open()
    await pass_time(net, 700)
    assert peer.said() == ["QUIT"]
    after = net.carry(HOPS[1])
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await after), Delivered)
    await pass_time(net, 20)
    assert net.reactor.getDelayedCalls() == []


@played
async def test_a_thousand_hosts_with_a_thousand_addresses_all_dead_cost_five_tries() -> None:
    names = [f"mx{n}.big.example" for n in range(1000)]
    zone: dict[str, Any] = {"big.example": {"MX": [(n, name) for n, name in enumerate(names)]}}
    for number, name in enumerate(names):
        zone[name] = {"A": [f"203.{number // 250}.{number % 250}.{n % 250}" for n in range(1000)]}
    table = RoutingTable("me.example", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq")
    people = (Recipient(parse_address("x@big.example")),)
    mail = Envelope("ID", None, people, 0.0)
    [planned] = (await EndToEndPlanner(FakeResolver(zone), table).plan(mail, people)).legs
    net = network()
    leg = net.carry(*planned.hops)
    for _ in range(5):
        await net.refuse(error.TimeoutError())
    assert isinstance(only(await leg), Deferred)
    assert net.dialled == []


@played
async def test_a_dead_host_is_left_alone_under_every_name_and_demand() -> None:
    net = network()
    leg = net.carry(HOPS[0])
    await net.refuse()
    assert isinstance(only(await leg), Deferred)
    others = [
        replace(HOPS[0], host="another-name.example"),
        replace(HOPS[0], tls=Tls.OPPORTUNISTIC),
    ]
    for hop in others:
        outcome = only(await net.carry(hop))
        assert isinstance(outcome, Deferred) and f"{hop.host}[192.0.2.1]:25 cannot be reached" in outcome.reply.text
        assert feedback_of([outcome]) is Feedback.NONE
    assert net.dialled == []
    half = net.carry(replace(HOPS[0], addresses=("192.0.2.1", "192.0.2.77")))
    await net.settle()
    assert net.dialled == ["192.0.2.77:25"], "another address is tried, and first"
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await half), Delivered)
    await net.later(5.1)
    again = net.carry(others[0])
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await again), Delivered)


@played
async def test_a_host_that_was_there_and_refused_is_asked_again_under_another_demand() -> None:
    net = network()
    leg = net.carry(HOPS[0])
    await (await net.accept()).hear("554 not you")
    assert isinstance(only(await leg), Deferred)
    other = net.carry(replace(HOPS[0], tls=Tls.OPPORTUNISTIC))
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await other), Delivered)


@played
async def test_smarthosts_are_all_tried() -> None:
    net = Net()
    leg = net.carry(*HOPS)
    for _ in range(len(HOPS) - 1):
        await (await (await net.accept()).open()).close()
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await leg), Delivered)
