"""XCLIENT: known only where it is offered, strict in what it takes, and the last word of its packet."""

from __future__ import annotations

import pytest

from shared.smtp.events import ClientIntroduced, HelloSaid, SenderGiven
from shared.smtp.extensions import Offer
from shared.smtp.grammar import SyntaxFault
from shared.smtp.server import ServerConversation
from shared.smtp.xclient import parse_xclient


def conversation(is_offered: bool = True) -> ServerConversation:
    return ServerConversation(Offer("mx.test.example", 1000, xclient=is_offered))


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("ADDR=192.0.2.7", ClientIntroduced("192.0.2.7")),
        ("addr=IPV6:2001:DB8::7 name=pc.example", ClientIntroduced("2001:db8::7", "pc.example")),
        ("ADDR=IPv6:::ffff:192.0.2.7", ClientIntroduced("192.0.2.7")),
        (
            "NAME=[UNAVAILABLE] ADDR=192.0.2.7 HELO=a+2Bb PORT=25 PROTO=ESMTP",
            ClientIntroduced("192.0.2.7", "", "a+b"),
        ),
        ("ADDR=[TEMPUNAVAIL]", ClientIntroduced("")),
    ],
)
def test_what_it_says(argument: str, expected: ClientIntroduced) -> None:
    assert parse_xclient(argument) == expected


@pytest.mark.parametrize(
    "argument",
    [
        "", "ADDR", "ADDR=", "ADDR=x", "ADDR=192.0.2", "ADDR=2001:db8::7", "ADDR=IPV6:192.0.2.7", "ADDR=IPV6:fe80::1%lo",
        "ADDR=192.0.2.7 ADDR=192.0.2.8", "ADDR=192.0.2.7  NAME=x", "LOGIN=anna", "NAME=a+0D+0Ab", "NAME=" + "x" * 256,
        "PORT=65536", "PORT=-1", "PROTO=HTTP", "NAME=ä",
    ],
)  # fmt: skip
def test_what_it_may_not_say(argument: str) -> None:
    with pytest.raises(SyntaxFault) as fault:
        parse_xclient(argument)
    assert fault.value.reply.code == 501


def test_it_is_unknown_where_it_is_not_offered() -> None:
    talk = conversation(is_offered=False)
    talk.receive(b"XCLIENT ADDR=192.0.2.7\r\n")
    assert talk.next_event() is None
    assert talk.take_output().startswith(b"500")
    assert "XCLIENT" not in Offer("mx", 1000).answer("x", True).text
    assert "XCLIENT NAME ADDR" in talk.offer.__class__("mx", 1000, xclient=True).answer("x", True).text


def test_it_may_come_before_and_after_ehlo_but_not_within_a_transaction() -> None:
    talk = conversation()
    talk.receive(b"EHLO x\r\n")
    assert isinstance(talk.next_event(), HelloSaid)
    talk.reply(talk.offer.answer("x", True))
    talk.receive(b"MAIL FROM:<a@b.example>\r\n")
    assert isinstance(talk.next_event(), SenderGiven)
    from shared.smtp import replies

    talk.reply(replies.SENDER_OK)
    talk.take_output()
    talk.receive(b"XCLIENT ADDR=192.0.2.7\r\n")
    assert talk.next_event() is None and talk.take_output().startswith(b"503")


def test_what_is_sent_along_behind_it_is_refused() -> None:
    talk = conversation()
    talk.receive(b"XCLIENT ADDR=192.0.2.7\r\nEHLO x\r\n")
    assert isinstance(talk.next_event(), HelloSaid)
    assert talk.take_output().startswith(b"503")
    talk = conversation()
    for octet in b"XCLIENT ADDR=192.0.2.7\r\n":
        assert talk.next_event() is None
        talk.receive(bytes([octet]))
    assert talk.next_event() == ClientIntroduced("192.0.2.7")
