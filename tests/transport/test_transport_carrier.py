"""A leg and its hops: which is asked, which is passed over, and what becomes of each recipient."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet import error
from wires import EHLO, HOP, MESSAGE, TAKEN, TLS_EHLO, Net, only

from shared.dns.answers import Found, NoData, NoSuchName, Trouble
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Feedback
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls
from shared.smtp.feedback import feedback_of

Scene = Callable[[], Coroutine[Any, Any, None]]
SECOND = NextHop("second.example", 587, Tls.OFF)
VERIFIED = NextHop("relay.example", 587, Tls.VERIFY, login="office", password_file="secret")


def played(scene: Scene) -> Callable[[], None]:
    """A test that is a coroutine."""

    def test() -> None:
        asyncio.run(asyncio.wait_for(scene(), 20))

    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


@played
async def test_a_message_goes_to_the_first_hop_and_the_connection_stays() -> None:
    net = Net()
    first = net.carry()
    peer = await (await net.accept()).open()
    assert peer.wire.is_prompt
    await peer.take()
    outcome = only(await first)
    assert isinstance(outcome, Delivered) and outcome.host == "relay.example[192.0.2.1]:25"
    second = net.carry()
    await net.settle()
    assert net.dialled == [] and peer.said()[0].startswith("MAIL")
    await peer.take()
    assert isinstance(only(await second), Delivered)
    assert net.asked == ["relay.example"]


@played
async def test_the_next_hop_is_asked_when_the_first_cannot_be_reached() -> None:
    net = Net(
        {"relay.example": Found(("2001:db8::1", "192.0.2.1"), 60.0), "second.example": Found(("192.0.2.2",), 60.0)}
    )
    leg = net.carry(HOP, SECOND)
    await net.settle()
    assert net.dialled == ["2001:db8::1:25"]
    await net.refuse()
    assert net.dialled == ["192.0.2.1:25"]
    await net.refuse(error.TimeoutError())
    assert net.dialled == ["192.0.2.2:587"]
    await (await (await net.accept()).open()).take()
    assert isinstance(only(await leg), Delivered)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(NoSuchName(), "does not exist"), (NoData(), "has no address"), (Trouble("SERVFAIL"), "SERVFAIL"),
     (Found((), 60.0), "has no address")],
)  # fmt: skip
def test_a_name_without_an_address_waits_and_says_so(answer: Any, words: str) -> None:
    async def scene() -> None:
        outcome = only(await Net({"relay.example": answer}).carry())
        assert isinstance(outcome, Deferred) and outcome.reply.code == 451
        assert words in outcome.reply.text and "relay.example:25" in outcome.reply.text

    asyncio.run(scene())


@played
async def test_addresses_that_were_looked_up_are_used_as_they_are() -> None:
    net = Net()
    leg = net.carry(NextHop("mx.example", 25, Tls.OFF, addresses=("192.0.2.7", "192.0.2.8")))
    await net.settle()
    assert net.dialled == ["192.0.2.7:25"] and net.asked == []
    await net.refuse()
    assert net.dialled == ["192.0.2.8:25"]
    await net.refuse()
    outcome = only(await leg)
    assert isinstance(outcome, Deferred)
    assert outcome.reply.text == "mx.example[192.0.2.8]:25 cannot be reached (connection refused)"
    leg = net.carry(NextHop("192.0.2.9", 25, Tls.OFF))
    await net.settle()
    assert net.dialled == ["192.0.2.9:25"] and net.asked == []
    leg.cancel()


@played
async def test_of_a_thousand_addresses_a_few_are_tried() -> None:
    net = Net()
    leg = net.carry(NextHop("mx.example", 25, Tls.OFF, addresses=tuple(f"192.0.2.{n}" for n in range(200))))
    for _ in range(5):
        await net.refuse()
    assert isinstance(only(await leg), Deferred)
    assert net.dialled == []


@played
async def test_what_a_server_says_of_a_recipient_is_not_taken_elsewhere() -> None:
    net = Net()
    leg = net.carry(HOP, SECOND, to=("ann@x.example", "bob@x.example", "cid@x.example"))
    peer = await (await net.accept()).open()
    await peer.hear("250 ok", "450 4.2.1 later", "550 5.1.1 nobody", "250 ok", "354 go")
    await peer.hear("250 2.0.0 ok")
    kinds = [type(outcome) for _, outcome in sorted((await leg).items(), key=lambda item: item[0].address.local)]
    assert kinds == [Deferred, Failed, Delivered]
    assert net.dialled == []


@pytest.mark.parametrize("loss", ["421 4.3.2 closing", "250-x\r\n550 y", ""])
def test_a_conversation_that_breaks_off_before_the_end_goes_on_at_the_next_hop(loss: str) -> None:
    async def scene() -> None:
        net = Net()
        leg = net.carry(HOP, SECOND)
        peer = await (await net.accept()).open()
        await (peer.hear(loss) if loss else peer.close())
        assert len(net.dialled) == 1 and net.dialled[0].endswith(":587")
        await (await (await net.accept()).open()).take()
        assert isinstance(only(await leg), Delivered)

    asyncio.run(scene())


@played
async def test_a_message_that_may_have_arrived_is_not_taken_elsewhere() -> None:
    net = Net()
    leg = net.carry(HOP, SECOND)
    peer = await (await net.accept()).open()
    await peer.hear(*TAKEN)
    await peer.close()
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and outcome.maybe_delivered
    assert net.dialled == []


@played
async def test_a_word_about_the_recipient_says_more_than_a_hop_that_cannot_be_reached() -> None:
    net = Net()
    leg = net.carry(HOP, SECOND)
    peer = await (await net.accept()).open()
    await peer.hear("421 4.7.0 too busy")
    await net.refuse()
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and outcome.reply.text == "too busy"


# -- TLS and logins ----------------------------------------------------------------------------------------------------


@played
async def test_a_relay_with_a_login() -> None:
    net = Net()
    leg = net.carry(VERIFIED)
    peer = await net.accept()
    assert await peer.hear("220 mx.example", *TLS_EHLO) == ["EHLO me.example", "STARTTLS"]
    await peer.hear("220 go")
    assert len(peer.wire.tls) == 1
    assert await peer.secure() == ["EHLO me.example"]
    assert await peer.hear(*TLS_EHLO) == ["AUTH PLAIN AG9mZmljZQBzM2NyZXQ="]
    assert (await peer.hear("235 welcome"))[0].startswith("MAIL")
    await peer.take()
    assert isinstance(only(await leg), Delivered)


@played
async def test_tls_from_the_first_octet() -> None:
    net = Net()
    leg = net.carry(NextHop("relay.example", 465, Tls.VERIFY, implicit_tls=True))
    peer = await net.accept()
    assert len(peer.wire.tls) == 1 and peer.said() == []
    await peer.secure()
    assert await peer.hear("220 mx.example") == ["EHLO me.example"]
    await peer.hear(*EHLO)
    await peer.take()
    assert isinstance(only(await leg), Delivered)


@pytest.mark.parametrize(
    ("words", "enhanced"),
    [
        (("220 mx.example", *EHLO), "4.7.4"),
        (("220 mx.example", *TLS_EHLO, "454 4.7.0 no TLS now"), "4.7.0"),
        (("220 mx.example", *TLS_EHLO, "502 no"), "4.7.4"),
        (("220 mx.example", "500 what?", "250 mx.example"), "4.7.4"),
        (("220 mx.example", *TLS_EHLO, "tls"), "4.7.5"),
        (("220 mx.example", *TLS_EHLO, "tls", *EHLO), "4.7.8"),
        (("220 mx.example", *TLS_EHLO, "tls", *TLS_EHLO, "535 5.7.8 bad password"), "4.7.8"),
        (("554 5.7.1 go away",), "4.3.2"),
        (("220 mx.example", "550 5.7.1 go away"), "4.3.2"),
        (("220 me.example",), "loop"),
    ],
)
def test_what_goes_wrong_before_the_mail_never_fails_it_and_the_next_hop_is_asked(
    words: tuple[str, ...], enhanced: str
) -> None:
    async def scene(has_next: bool) -> None:
        net = Net()
        leg = net.carry(VERIFIED, *([SECOND] if has_next else []))
        peer = await net.accept()
        for number, line in enumerate(words):
            if line != "tls":
                await peer.hear(line)
                continue
            await peer.hear("220 go")
            if number == len(words) - 1:
                await peer.close(error.ConnectionLost())
            else:
                await peer.secure()
        if has_next:
            assert net.dialled == ["192.0.2.1:587"]
            await (await (await net.accept()).open()).take()
            assert isinstance(only(await leg), Delivered)
            return
        outcome = only(await leg)
        if enhanced == "loop":
            assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.4.6"
        else:
            assert isinstance(outcome, Deferred)
            assert outcome.reply.is_transient and outcome.reply.enhanced == enhanced
        assert net.dialled == []

    asyncio.run(scene(False))
    asyncio.run(scene(True))


@played
async def test_without_a_password_nobody_is_called() -> None:
    net = Net()
    net.secrets.clear()
    outcome = only(await net.carry(VERIFIED))
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.7.8"
    assert "is not there" in outcome.reply.text
    assert net.dialled == []


@played
async def test_a_broken_tls_that_was_only_welcome_is_done_without_once() -> None:
    net = Net()
    leg = net.carry(NextHop("mx.example", 25, Tls.OPPORTUNISTIC))
    peer = await net.accept()
    await peer.hear("220 mx.example", *TLS_EHLO, "220 go")
    await peer.close(error.ConnectionLost())
    assert net.dialled == ["192.0.2.1:25"]
    peer = await net.accept()
    lines = await peer.hear("220 mx.example", *TLS_EHLO)
    assert "STARTTLS" not in lines and lines[1].startswith("MAIL")
    await peer.take()
    assert isinstance(only(await leg), Delivered)


@pytest.mark.parametrize(
    "hop",
    [
        NextHop("mx.example", 25, Tls.OPPORTUNISTIC, login="office", password_file="secret"),
        NextHop("mx.example", 25, Tls.OFF, login="office", password_file="secret"),
        NextHop("mx.example", 25, Tls.VERIFY),
    ],
)
def test_a_password_or_a_demand_is_never_given_up_for_clear_text(hop: NextHop) -> None:
    async def scene() -> None:
        net = Net()
        leg = net.carry(hop)
        peer = await net.accept()
        lines = await peer.hear("220 mx.example", *TLS_EHLO)
        if hop.tls is not Tls.OFF:
            await peer.hear("220 go")
            await peer.close(error.ConnectionLost())
        outcome = only(await leg)
        assert isinstance(outcome, Deferred) and outcome.reply.enhanced in ("4.7.4", "4.7.5")
        assert not [line for line in lines + peer.said() if line.startswith(("AUTH", "MAIL"))]
        assert net.dialled == []

    asyncio.run(scene())


@played
async def test_off_said_twice() -> None:
    net = Net()
    hop = NextHop("relay.example", 25, Tls.OFF, login="office", password_file="secret", login_in_clear=True)
    leg = net.carry(hop)
    peer = await net.accept()
    said = await peer.hear("220 mx.example", "250-mx.example", "250 AUTH PLAIN SCRAM-SHA-256")
    assert said[-1].startswith("AUTH SCRAM-SHA-256"), "in clear the password itself stays here"
    leg.cancel()


@played
async def test_requiretls_makes_every_hop_a_verified_one() -> None:
    net = Net()
    leg = net.carry(HOP, requiretls=True)
    peer = await net.accept()
    assert (await peer.hear("220 mx.example", *TLS_EHLO))[-1] == "STARTTLS"
    await peer.hear("220 go")
    await peer.secure()
    await peer.hear(*TLS_EHLO)
    outcome = only(await leg)
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.7.30"


@pytest.mark.parametrize("is_smarthost", [False, True])
def test_requiretls_goes_back_when_every_host_lacks_tls_but_not_for_a_smarthost_s_sake(is_smarthost: bool) -> None:
    async def scene() -> None:
        net = Net(are_smarthosts=is_smarthost)
        leg = net.carry(HOP, replace(HOP, host="relay2.example"), requiretls=True)
        for _ in range(2):
            await (await net.accept()).hear("220 mx.example", *EHLO)
        outcome = only(await leg)
        assert outcome.reply.enhanced == ("4.7.4" if is_smarthost else "5.7.10")
        assert isinstance(outcome, Deferred if is_smarthost else Failed)
        await net.carrier.close()

    asyncio.run(scene())


@played
async def test_a_host_without_requiretls_is_passed_over_for_one_that_has_it() -> None:
    net = Net()
    leg = net.carry(HOP, replace(HOP, host="relay2.example"), requiretls=True)
    for offer in ("SIZE", "REQUIRETLS"):
        peer = await net.accept()
        assert (await peer.hear("220 mx.example", *TLS_EHLO))[-1] == "STARTTLS"
        await peer.hear("220 go")
        await peer.secure()
        said = await peer.hear("250-mx.example", f"250 {offer}")
    assert said[-1] == "MAIL FROM:<anna@hq.example> REQUIRETLS"
    leg.cancel()


@played
async def test_a_host_without_requiretls_and_one_that_cannot_be_reached_make_it_wait() -> None:
    net = Net()
    leg = net.carry(HOP, replace(HOP, host="relay2.example"), requiretls=True)
    peer = await net.accept()
    await peer.hear("220 mx.example", *TLS_EHLO)
    await peer.hear("220 go")
    await peer.secure()
    await peer.hear(*TLS_EHLO)
    await net.refuse()
    assert isinstance(only(await leg), Deferred)


@played
async def test_of_two_families_the_one_that_works_from_here_is_dialled_first() -> None:
    net, dialled = Net(), []
    for number in range(1, 5):
        hop = NextHop(f"mx{number}.example", 25, Tls.OFF, addresses=(f"2001:db8::{number}", f"192.0.2.{number}"))
        leg = net.carry(hop)
        await net.settle()
        dialled.append(net.dialled[0])
        if number <= 3:
            await net.refuse()
        await (await net.accept()).hear("220 mx.example", *EHLO)
        leg.cancel()
    assert dialled == ["2001:db8::1:25", "2001:db8::2:25", "2001:db8::3:25", "192.0.2.4:25"]


@played
async def test_requiretls_waits_while_a_host_cannot_be_reached() -> None:
    net = Net()
    leg = net.carry(HOP, replace(HOP, host="relay2.example"), requiretls=True)
    await net.refuse()
    await (await net.accept()).hear("220 mx.example", *EHLO)
    assert isinstance(only(await leg), Deferred)


# -- many recipients ---------------------------------------------------------------------------------------------------


@played
async def test_more_recipients_than_every_server_takes_go_in_several_transactions() -> None:
    net = Net()
    leg = net.carry(to=tuple(f"r{n}@x.example" for n in range(250)))
    peer = await net.accept()
    lines = await peer.hear("220 mx.example", *EHLO)
    for expected in (100, 100, 50):
        assert sum(line.startswith("RCPT") for line in lines) == expected
        await peer.hear("250 ok", *["250 ok"] * expected, "354 go")
        lines = await peer.hear("250 2.0.0 ok")
    outcomes = await leg
    assert len(outcomes) == 250 and all(isinstance(outcome, Delivered) for outcome in outcomes.values())


@pytest.mark.parametrize("refusal", ["452 4.5.3 too many", "552 too many", "452 too many"])
def test_recipients_too_many_for_the_server_follow_at_once(refusal: str) -> None:
    async def scene() -> None:
        net = Net()
        leg = net.carry(to=tuple(f"r{n}@x.example" for n in range(5)))
        peer = await net.accept()
        lines = await peer.hear("220 mx.example", *EHLO)
        counts = []
        while any(line.startswith("RCPT") for line in lines):
            counts.append(sum(line.startswith("RCPT") for line in lines))
            await peer.hear("250 ok", *["250 ok"] * min(2, counts[-1]), *[refusal] * (counts[-1] - 2), "354 go")
            lines = await peer.hear("250 2.0.0 ok")
        assert counts == [5, 2, 1]
        assert all(isinstance(outcome, Delivered) for outcome in (await leg).values())

    asyncio.run(scene())


@played
async def test_when_nobody_is_taken_too_many_means_later() -> None:
    net = Net()
    leg = net.carry(to=("ann@x.example", "bob@x.example"))
    peer = await (await net.accept()).open()
    await peer.hear("250 ok", "452 4.5.3 too many", "452 4.5.3 too many", "554 5.5.1 no valid recipients")
    assert [type(outcome) for outcome in (await leg).values()] == [Deferred, Deferred]


@played
async def test_only_what_was_tried_says_something_of_the_host() -> None:
    net = Net()
    tried = net.carry()
    await net.refuse()
    outcomes = [only(await tried), only(await net.carry())]
    assert net.dialled == []
    assert [feedback_of([outcome]) for outcome in outcomes] == [Feedback.BAD, Feedback.NONE]
    await net.later(60)
    turned_away = net.carry()
    await (await net.accept()).hear("450 4.3.2 too many connections")
    assert feedback_of([only(await turned_away)]) is Feedback.TURNED_AWAY


@played
async def test_a_leg_without_hops_waits() -> None:
    recipients = (Recipient(parse_address("bob@x.example")),)
    outcomes = await Net().carrier.carry(Envelope("ID", None, recipients, 0.0), MESSAGE, Leg("x", recipients))
    outcome = only(outcomes)
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.4.4"


# -- the end -----------------------------------------------------------------------------------------------------------


@played
async def test_closing_says_goodbye_and_leaves_nobody_waiting() -> None:
    net = Net()
    first, second = net.carry(), net.carry()
    idle = await (await net.accept()).open()
    busy = await (await net.accept()).open()
    await idle.take()
    assert isinstance(only(await first), Delivered)
    dialling = net.carry(SECOND)
    await net.settle()
    closing = asyncio.create_task(net.carrier.close())
    await net.settle()
    assert idle.said() == ["QUIT"]
    assert busy.wire.closed == "aborted"
    assert isinstance(only(await second), Deferred) and isinstance(only(await dialling), Deferred)
    assert not closing.done()
    await idle.hear("221 bye")
    await closing
    assert idle.wire.closed == "lost"
    outcome = only(await net.carry())
    assert isinstance(outcome, Deferred) and "stopping" in outcome.reply.text
    assert net.dialled == ["192.0.2.1:587"], "nobody is called any more"
