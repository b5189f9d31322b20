"""Local mail by LMTP: one transaction for all mailboxes of a message, an outcome for each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from mercury_s.local.lmtp import LmtpDrop, lmtp_hop
from shared.config.account import Account
from shared.config.local import Over
from shared.mail.address import parse_address
from shared.mail.content import BytesContent, Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.reply import Reply
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls

OK = Delivered(Reply(250, "2.0.0", "saved"), "lmtp", passes_dsn=True)
CONTENT = BytesContent(b"Subject: x\r\n\r\n")


def account(name: str) -> Account:
    return Account(parse_address(f"{name}@hq.example"))


def envelope(**more: object) -> Envelope:
    return Envelope("ID", parse_address("who@far.example"), (), 0.0, **more)  # type: ignore[arg-type]


class FakeCarrier:
    def __init__(self, **answers: Outcome) -> None:
        self.answers = answers
        self.legs: list[Leg] = []
        self.envelopes: list[Envelope] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        self.legs.append(leg)
        self.envelopes.append(envelope)
        await self.gate.wait()
        return {recipient: self.answers.get(recipient.address.local, OK) for recipient in leg.recipients}


HOP = lmtp_hop("unix:/run/dovecot/lmtp")


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("unix:/run/dovecot/lmtp", NextHop("localhost", 24, Tls.OFF, lmtp=True, socket_path="/run/dovecot/lmtp")),
        ("127.0.0.1:24", NextHop("127.0.0.1", 24, Tls.OFF, lmtp=True)),
        ("[::1]:2424", NextHop("::1", 2424, Tls.OFF, lmtp=True)),
        ("localhost:24", NextHop("localhost", 24, Tls.OFF, lmtp=True)),
        ("store.hq.example:24", NextHop("store.hq.example", 24, Tls.OPPORTUNISTIC, lmtp=True)),
    ],
)
def test_where_the_server_is(text: str, hop: NextHop) -> None:
    assert lmtp_hop(text) == hop


def test_the_mailboxes_of_a_message_go_together() -> None:
    async def run() -> None:
        carrier = FakeCarrier(bert=Failed(Reply(550, "5.1.1", "who?")))
        drop = LmtpDrop(carrier, HOP, Over.DEFER)
        outcomes = await asyncio.gather(
            *(drop.deliver(envelope(), CONTENT, account(name)) for name in ("anna", "bert", "anna"))
        )
        [leg] = carrier.legs
        assert [str(recipient.address) for recipient in leg.recipients] == ["anna@hq.example", "bert@hq.example"]
        assert leg.hops == (HOP,)
        assert [type(outcome) for outcome in outcomes] == [Delivered, Failed, Delivered]
        assert isinstance(outcomes[0], Delivered) and not outcomes[0].passes_dsn

    asyncio.run(run())


def test_messages_do_not_mix() -> None:
    async def run() -> None:
        carrier = FakeCarrier()
        drop = LmtpDrop(carrier, HOP, Over.DEFER)
        other = BytesContent(b"y")
        await asyncio.gather(
            drop.deliver(envelope(), CONTENT, account("anna")), drop.deliver(envelope(), other, account("anna"))
        )
        assert len(carrier.legs) == 2
        await drop.deliver(envelope(), CONTENT, account("anna"))
        assert len(carrier.legs) == 3, "what comes later is a transaction of its own"

    asyncio.run(run())


@pytest.mark.parametrize(("over", "kind"), [(Over.DEFER, Deferred), (Over.BOUNCE, Failed)])
def test_a_full_mailbox_means_what_the_setting_says(over: Over, kind: type[Outcome]) -> None:
    async def run() -> None:
        carrier = FakeCarrier(
            anna=Deferred(Reply(452, "4.2.2", "Quota exceeded")), bert=Deferred(Reply(451, "4.3.0", ""))
        )
        drop = LmtpDrop(carrier, HOP, over)
        full, other = await asyncio.gather(
            *(drop.deliver(envelope(), CONTENT, account(name)) for name in ("anna", "bert"))
        )
        assert isinstance(full, kind) and full.reply.enhanced[1:] == ".2.2"
        assert isinstance(other, Deferred)

    asyncio.run(run())


def test_whoever_is_called_off_takes_nobody_along() -> None:
    async def run() -> None:
        carrier = FakeCarrier()
        carrier.gate.clear()
        drop = LmtpDrop(carrier, HOP, Over.DEFER)
        first, second = (
            asyncio.create_task(drop.deliver(envelope(), CONTENT, account(name))) for name in ("anna", "bert")
        )
        await asyncio.sleep(0.01)
        first.cancel()
        carrier.gate.set()
        assert isinstance(await second, Delivered)
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(run())


def test_requiretls_ends_at_the_host() -> None:
    async def run() -> None:
        carrier = FakeCarrier()
        await LmtpDrop(carrier, HOP, Over.DEFER).deliver(envelope(requiretls=True), CONTENT, account("anna"))
        away = lmtp_hop("store.hq.example:24")
        await LmtpDrop(carrier, away, Over.DEFER).deliver(envelope(requiretls=True), CONTENT, account("anna"))
        assert [one.requiretls for one in carrier.envelopes] == [False, True]

    asyncio.run(run())
