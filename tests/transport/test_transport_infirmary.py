"""Failover and failback: who gets the mail while the first choice is down, and when it gets its mail back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wires import HOP, TLS_EHLO, Net, only

from shared.dns.answers import NoData
from shared.mail.outcome import Deferred, Delivered, Failed
from shared.observe import events
from shared.observe.log import log
from shared.routing.next_hop import NextHop, Tls
from shared.transport.infirmary import MEMORY

SECOND = NextHop("second.example", 587, Tls.OFF)
Scene = Callable[[], Coroutine[Any, Any, None]]


def played(scene: Scene) -> Callable[[], None]:
    def test() -> None:
        asyncio.run(asyncio.wait_for(scene(), 20))

    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


async def fallen_over(net: Net) -> Any:
    """The first hop refuses, the second takes the message; its peer."""
    leg = net.carry(HOP, SECOND)
    await net.refuse()
    peer = await (await net.accept()).open()
    await peer.take()
    outcome = only(await leg)
    assert isinstance(outcome, Delivered)
    assert "not relay.example[192.0.2.1]:25 cannot be reached (connection refused)" in outcome.detail
    return peer


@played
async def test_mail_keeps_away_from_a_hop_that_failed_until_a_probe_has_found_it_well() -> None:
    net = Net(are_smarthosts=True)
    said: list[str] = []
    with log.watched(lambda name, fields: said.append(name)):
        second = await fallen_over(net)
        await net.later(1)
        leg = net.carry(HOP, SECOND)
        await net.settle()
        assert net.dialled == [], "no message waits for the first hop"
        await second.take()
        assert "connection refused" in only(await leg).detail
        await net.later(1.1)
        assert net.dialled == ["192.0.2.1:25"], "the probe"
        leg = net.carry(HOP, SECOND)
        await net.settle()
        await second.take()
        assert isinstance(only(await leg), Delivered)
        await net.refuse()
        await net.later(3)
        assert net.dialled == [], "the pauses grow"
        await net.later(1.1)
        await (await net.accept()).open()
        assert said.count(events.HOP_PASSED_OVER) == said.count(events.HOP_RECOVERED) == 1
    leg = net.carry(HOP, SECOND)
    first = await (await net.accept()).open()
    assert first.address == "192.0.2.1"
    await first.take()
    outcome = only(await leg)
    assert isinstance(outcome, Delivered) and outcome.host.startswith("relay.example") and outcome.detail == ""


@played
async def test_a_probe_needs_the_login_to_succeed() -> None:
    net = Net(are_smarthosts=True)
    relay = NextHop("relay.example", 465, Tls.VERIFY, True, login="office", password_file="secret")

    async def until_login(answer: str) -> Any:
        peer = await net.accept()
        await peer.secure()
        await peer.hear("220 mx.example", *TLS_EHLO)
        return peer, await peer.hear(answer)

    leg = net.carry(relay, SECOND)
    await until_login("535 5.7.8 bad password")
    await (await (await net.accept()).open()).take()
    assert "refused the login (535 5.7.8 bad password)" in only(await leg).detail
    await net.later(2.1)
    await until_login("535 5.7.8 bad password")
    await net.later(4.1)
    _, said = await until_login("235 2.7.0 welcome")
    assert said == ["QUIT"], "a probe carries no mail"


@played
async def test_when_all_are_ill_they_are_asked_all_the_same() -> None:
    net = Net(are_smarthosts=True)
    leg = net.carry(HOP, SECOND)
    await net.refuse()
    await net.refuse()
    outcome = only(await leg)
    assert isinstance(outcome, Deferred)
    assert "relay.example[192.0.2.1]:25" in outcome.detail and "second.example[192.0.2.1]:587" in outcome.detail
    await net.later(2.1)
    assert sorted(net.dialled) == ["192.0.2.1:25", "192.0.2.1:587"]
    await net.refuse()
    await (await net.accept()).open()
    leg = net.carry(HOP, SECOND)
    peer = await (await net.accept()).open()
    await peer.take()
    outcome = only(await leg)
    assert isinstance(outcome, Delivered) and outcome.host.startswith("second.example")


@played
async def test_a_hop_alone_is_tried_with_the_next_message() -> None:
    net = Net(are_smarthosts=True)
    leg = net.carry(HOP)
    await net.refuse()
    assert isinstance(only(await leg), Deferred)
    await net.later(120)
    assert net.dialled == []


@played
async def test_a_hop_that_nobody_misses_is_probed_no_more() -> None:
    net = Net(are_smarthosts=True)
    await fallen_over(net)
    net.names["relay.example"] = NoData()
    for _ in range(int(MEMORY / 60) + 3):
        await net.later(60.0)
    asked = len(net.asked)
    await net.later(600.0)
    assert len(net.asked) == asked


@played
async def test_closing_ends_the_probes() -> None:
    net = Net(are_smarthosts=True)
    await fallen_over(net)
    await net.carrier.close()
    await net.later(300)
    assert net.dialled == []


@played
async def test_mail_exchangers_are_not_probed() -> None:
    net = Net()
    await fallen_over(net)
    await net.later(6)
    assert net.dialled == []
    leg = net.carry(HOP, SECOND)
    await net.settle()
    assert net.dialled == ["192.0.2.1:25"]
    leg.cancel()


@played
async def test_a_smarthost_that_refuses_to_relay_bounces_nothing() -> None:
    """An MX that says so speaks of the recipient."""
    for is_smarthost, kind in ((True, Deferred), (False, Failed)):
        net = Net(are_smarthosts=is_smarthost)
        leg = net.carry()
        peer = await (await net.accept()).open()
        await peer.hear("250 ok", "554 5.7.1 <bob@x.example>: Relay access denied", "554 5.5.1 no valid recipients")
        outcome = only(await leg)
        assert type(outcome) is kind
        assert outcome.reply.code == (454 if is_smarthost else 554)
        assert "Relay access denied" in outcome.reply.text
        net = Net(are_smarthosts=is_smarthost)
        leg = net.carry()
        peer = await (await net.accept()).open()
        await peer.hear("250 ok", "550 5.1.1 <bob@x.example>: no such user", "554 5.5.1 no valid recipients")
        assert isinstance(only(await leg), Failed)
