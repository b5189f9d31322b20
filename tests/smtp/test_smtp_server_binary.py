"""BODY=BINARYMIME (RFC 3030 §3), REQUIRETLS (RFC 8689 §2) and LIMITS (RFC 9422) as our server offers and keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.mail.envelope import Body
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.events import ContentReceived, Event, HelloSaid, MessageEnded, MessageSpoiled, SenderGiven
from shared.smtp.extensions import Offer
from shared.smtp.server import ServerConversation

OFFER = Offer("mx.test.example", 100_000)
OPENING = b"EHLO pc.example\r\n"
BINARY = b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n"
EVERY_OCTET = bytes(range(256)) + b"\n\r\n.\r\n\r\r\n"


def play(offer: Offer, *pieces: bytes) -> tuple[list[Event], bytes]:
    """What was heard and said with a holder that says yes to everything."""
    conversation = ServerConversation(offer)
    events: list[Event] = []
    sent = b""
    for piece in pieces:
        conversation.receive(piece)
        while (event := conversation.next_event()) is not None:
            events.append(event)
            if isinstance(event, HelloSaid):
                conversation.reply(offer.answer(event.name, event.is_extended))
            elif conversation.owes_reply:
                conversation.reply(replies.OK)
        sent += conversation.take_output()
    return events, sent


def content(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, ContentReceived))


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_every_octet_of_a_binary_message_arrives(bytewise: bool) -> None:
    half = len(EVERY_OCTET) // 2
    chunks = b"BDAT %d\r\n%b" % (half, EVERY_OCTET[:half])
    chunks += b"BDAT %d LAST\r\n%b" % (len(EVERY_OCTET) - half, EVERY_OCTET[half:])
    spoken = OPENING + BINARY + chunks
    events, _ = play(OFFER, *([bytes([octet]) for octet in spoken] if bytewise else [spoken]))
    assert content(events) == EVERY_OCTET
    assert isinstance(events[-1], MessageEnded)
    assert next(event for event in events if isinstance(event, SenderGiven)).body is Body.BINARY


def test_binary_is_for_one_message() -> None:
    plain = BINARY.replace(b" BODY=BINARYMIME", b"")
    events, _ = play(OFFER, OPENING + BINARY + b"BDAT 2 LAST\r\n\0\n" + plain + b"BDAT 2 LAST\r\n\0\n")
    assert isinstance(events[-1], MessageSpoiled)


def test_binary_is_forgotten_with_its_transaction() -> None:
    events, _ = play(OFFER, OPENING + BINARY + b"RSET\r\n" + BINARY.replace(b"BINARYMIME", b"7BIT"), b"DATA\r\n")
    assert type(events[-1]).__name__ == "DataAsked"


def test_binary_does_not_go_by_data_and_the_transaction_stays() -> None:
    events, sent = play(OFFER, OPENING + BINARY + b"DATA\r\n" + b"BDAT 1 LAST\r\n\n")
    assert b"503 5.5.1 A BODY=BINARYMIME message goes by BDAT" in sent
    assert isinstance(events[-1], MessageEnded)


def test_a_binary_message_keeps_to_the_size_limit() -> None:
    events, sent = play(replace(OFFER, size=10), OPENING + BINARY + b"BDAT 11 LAST\r\n" + b"\n" * 11)
    assert isinstance(events[-1], MessageSpoiled)
    assert b"552 5.3.4" in sent


def test_requiretls_is_taken_where_it_is_offered_only() -> None:
    mail = OPENING + b"MAIL FROM:<a@b.example> REQUIRETLS\r\n"
    events, _ = play(replace(OFFER, requiretls=True), mail)
    assert isinstance(events[-1], SenderGiven) and events[-1].requiretls
    events, sent = play(OFFER, mail)
    assert isinstance(events[-1], HelloSaid)
    assert b"555 5.5.4 REQUIRETLS can be asked for under TLS only" in sent


def test_requiretls_takes_no_value() -> None:
    _, sent = play(replace(OFFER, requiretls=True), OPENING + b"MAIL FROM:<a@b.example> REQUIRETLS=YES\r\n")
    assert b"501 5.5.4" in sent


@pytest.mark.parametrize(
    ("offer", "line"),
    [
        (replace(OFFER, recipients=1000), "LIMITS RCPTMAX=1000"),
        (replace(OFFER, recipients=100, messages=5), "LIMITS RCPTMAX=100 MAILMAX=5"),
        (replace(OFFER, messages=5), "LIMITS MAILMAX=5"),
        (OFFER, ""),
    ],
)
def test_limits_are_said(offer: Offer, line: str) -> None:
    answer: Reply = offer.answer("pc.example", True)
    said = [text for text in answer.text.split("\n") if text.startswith("LIMITS")]
    assert said == ([line] if line else [])
    assert "BINARYMIME" in answer.text.split("\n")
    assert "LIMITS" not in offer.answer("pc.example", False).text
