"""Mail that the server cannot take as it is: converted for it, or returned; and for it only."""

from __future__ import annotations

import asyncio
from typing import Any

from test_transport_carrier import played
from wires import EHLO, TAKEN, Net, Peer, only

from shared.mail.content import BytesContent
from shared.mail.outcome import Deferred, Delivered, Failed

OLD = ("250-mx.example", "250-PIPELINING", "250 SIZE 1000000")
GREETING = BytesContent("Subject: Grüße\r\n\r\nHallo, Jörg\r\n".encode())
SIGNED = BytesContent("DKIM-Signature: v=1\r\nSubject: x\r\n\r\nGrüße\r\n".encode())


async def begun(net: Net, content: BytesContent, *offer: str) -> tuple[asyncio.Task[Any], Peer, str]:
    """The leg, the server, and the MAIL line, once there is one or the leg is over."""
    leg = net.carry(content=content)
    peer = await net.accept()
    said = await peer.hear("220 mx.example ESMTP", *offer)
    for _ in range(1000):
        await net.settle()
        said += peer.said()
        if leg.done() or said[-1] == "DATA":
            break
        await asyncio.sleep(0.01)
    return leg, peer, next((line for line in said if line.startswith("MAIL")), "")


@played
async def test_eight_bit_mail_is_converted_for_a_server_of_seven() -> None:
    net = Net()
    leg, peer, mail = await begun(net, GREETING, *OLD)
    body = await peer.hear(*TAKEN)
    assert mail.startswith("MAIL FROM:<anna@hq.example> SIZE=") and "BODY" not in mail
    assert body[0] == "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=" and body[-3:] == ["", "Hallo, J=C3=B6rg", "."]
    await peer.hear("250 2.0.0 taken")
    outcome = only(await leg)
    assert isinstance(outcome, Delivered)
    assert outcome.detail.endswith("converted: the next server takes no 8-bit mail (8BITMIME)")


@played
async def test_a_server_of_eight_bits_gets_every_octet_and_nobody_looks() -> None:
    net = Net()
    leg, peer, _ = await begun(net, GREETING, *EHLO)
    assert await peer.hear(*TAKEN) == ["Subject: Grüße", "", "Hallo, Jörg", "."]
    await peer.hear("250 2.0.0 taken")
    outcome = only(await leg)
    assert isinstance(outcome, Delivered) and "converted" not in outcome.detail


@played
async def test_signed_mail_comes_back_with_the_reason() -> None:
    net = Net()
    leg, _, mail = await begun(net, SIGNED, *OLD)
    outcome = only(await leg)
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.6.2"
    assert "would break the signature" in outcome.reply.text and not mail


@played
async def test_the_connection_is_used_again() -> None:
    net = Net()
    leg, peer, _ = await begun(net, SIGNED, *OLD)
    assert isinstance(only(await leg), Failed)
    second = net.carry()
    await net.settle()
    assert peer.said()[0].startswith("MAIL")
    await peer.take()
    assert isinstance(only(await second), Delivered)


class Unreadable(BytesContent):
    """Its file is gone when somebody looks closer."""

    @property
    def size(self) -> int:
        return 200_000

    def chunks(self, size: int = 65536):  # type: ignore[no-untyped-def]
        raise OSError("it is gone")


@played
async def test_what_cannot_be_read_waits() -> None:
    leg, _, _ = await begun(Net(), Unreadable(b""), *OLD)
    outcome = only(await leg)
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.3.0"
