"""LMTP (RFC 2033): LHLO, and after the message an answer for each recipient that was accepted, in their order."""

from __future__ import annotations

import pytest
from client_words import MESSAGE, PLAIN, Client, Cut, Opening, envelope, singly, whole

from shared.mail.content import BytesContent
from shared.mail.outcome import Deferred, Delivered
from shared.smtp.client_transaction import SMALL
from shared.smtp.judge import End

CHUNKS = (*PLAIN, "CHUNKING")
LMTP = Opening("me.example", lmtp=True)
THREE = envelope("ann@x.example", "bob@x.example", "cid@x.example")


@pytest.fixture(params=[whole, singly])
def cut(request: pytest.FixtureRequest) -> Cut:
    return request.param  # type: ignore[no-any-return]


def test_it_says_lhlo_and_nothing_older(cut: Cut) -> None:
    client = Client(LMTP, cut).hear("220 mx.example LMTP")
    assert client.lines() == ["LHLO me.example"]
    assert client.hear("500 what?").ended().end is End.REFUSED
    assert not [line for line in client.lines() if line.startswith("HELO")]


def test_a_mailbox_server_may_have_our_name() -> None:
    client = Client(LMTP).hear("220 me.example LMTP", "250-me.example", "250 PIPELINING")
    assert client.conversation.is_idle


def test_each_accepted_recipient_has_its_own_answer(cut: Cut) -> None:
    client = Client(LMTP, cut).opened(*PLAIN).send(THREE)
    client.hear("250 ok", "250 ok", "550 5.1.1 nobody", "250 ok", "354 go")
    assert client.said.endswith(MESSAGE + b".\r\n")
    client.hear("250 2.0.0 for ann")
    assert not client.events
    client.hear("452 4.2.0 busy")
    assert client.outcomes() == ["ann Delivered 250 2.0.0", "bob Failed 550 5.1.1", "cid Deferred 452 4.2.0"]
    assert client.conversation.is_idle


def test_one_refusal_after_the_message_is_nobody_elses(cut: Cut) -> None:
    client = Client(LMTP, cut).opened(*PLAIN).send(THREE)
    client.hear("250 ok", "250 ok", "250 ok", "250 ok", "354 go", "554 5.6.0 no", "250 2.0.0 yes", "550 5.7.1 no")
    assert client.outcomes() == ["ann Failed 554 5.6.0", "bob Delivered 250 2.0.0", "cid Failed 550 5.7.1"]
    client.events.clear()
    client.said = b""
    client.send(THREE)
    assert client.said.startswith(b"MAIL FROM"), "the conversation is in step, and RSET is not needed"


def test_nobody_accepted_ends_the_transaction(cut: Cut) -> None:
    client = Client(LMTP, cut).opened(*PLAIN).send()
    client.hear("250 ok", "550 5.1.1 nobody", "503 5.5.1 no recipients")
    assert client.outcomes() == ["bob Failed 550 5.1.1"]
    assert client.conversation.is_idle


@pytest.mark.parametrize("size", [100, SMALL + 1, 3 * SMALL])
def test_chunks_wait_for_the_recipients(cut: Cut, size: int) -> None:
    client = Client(LMTP, cut).opened(*CHUNKS).send(THREE, b"x" * (size - 2) + b"\r\n")
    assert b"BDAT" not in client.said
    client.hear("250 ok", "250 ok", "550 no", "250 ok")
    chunks = client.said.count(b"BDAT")
    assert client.said.count(b" LAST\r\n") == 1
    client.hear(*["250 chunk"] * (chunks - 1), "250 2.0.0 ann")
    assert not client.events
    client.hear("250 2.0.0 cid")
    assert client.outcomes() == ["ann Delivered 250 2.0.0", "bob Failed 550 ", "cid Delivered 250 2.0.0"]


def test_lost_between_two_answers(cut: Cut) -> None:
    """What was said stays said; whoever was not answered may have the message or not (RFC 1047)."""
    client = Client(LMTP, cut).opened(*PLAIN).send(THREE)
    client.hear("250 ok", "250 ok", "250 ok", "250 ok", "354 go", "250 2.0.0 ann")
    client.conversation.lost("gone")
    client.look()
    outcomes = list(client.finished().outcomes.values())
    assert isinstance(outcomes[0], Delivered)
    assert all(isinstance(outcome, Deferred) and outcome.maybe_delivered for outcome in outcomes[1:])


def test_an_answer_too_many_ends_the_conversation(cut: Cut) -> None:
    client = Client(LMTP, cut).opened(*PLAIN).send()
    client.hear("250 ok", "250 ok", "354 go", "250 2.0.0 bob", "250 2.0.0 who?")
    assert client.outcomes() == ["bob Delivered 250 2.0.0"]
    assert client.ended().end is End.BREACH


def test_a_refusal_before_the_end_counts_for_the_first_alone() -> None:
    client = Client(LMTP).opened(*PLAIN)
    conversation = client.conversation
    conversation.send(THREE, THREE.recipients, BytesContent(b"x" * 300_000 + b"\r\n"))
    client.said += conversation.take()
    for line in ("250 ok", "250 ok", "250 ok", "250 ok", "354 go"):
        conversation.receive(line.encode() + b"\r\n")
    conversation.take()
    conversation.next_body()
    conversation.receive(b"552 5.3.4 enough\r\n")
    client.look()
    assert client.outcomes() == ["ann Failed 552 5.3.4", "bob Deferred 421 4.4.2", "cid Deferred 421 4.4.2"]
    assert client.ended().end is End.CLOSING
