"""Messages over an open conversation: every recipient gets the answer that was meant for it, and no other."""

from __future__ import annotations

import pytest
from client_words import MESSAGE, PLAIN, BrokenContent, Client, Cut, Finished, envelope, singly, whole

from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope
from shared.mail.outcome import Deferred, Delivered, Failed
from shared.smtp.client import PATIENCE, PIECE_PATIENCE
from shared.smtp.client_transaction import SMALL
from shared.smtp.judge import End, Step

CHUNKS = (*PLAIN, "CHUNKING", "BINARYMIME")
THREE = envelope("ann@x.example", "bob@x.example", "cid@x.example")


@pytest.fixture(params=[whole, singly])
def cut(request: pytest.FixtureRequest) -> Cut:
    return request.param  # type: ignore[no-any-return]


# -- the plain ways ----------------------------------------------------------------------------------------------------


def test_commands_go_in_one_write_where_they_may(cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN).send()
    assert client.lines() == ["MAIL FROM:<anna@hq.example> SIZE=30", "RCPT TO:<bob@x.example>", "DATA"]
    client.hear("250 2.1.0 ok", "250 2.1.5 ok", "354 go")
    assert client.lines() == ["Subject: greetings", "", "Hello.", "."]
    client.hear("250 2.0.0 queued as 1")
    outcome = client.outcome()
    assert isinstance(outcome, Delivered) and not outcome.passes_dsn
    assert (str(outcome.reply), outcome.host) == ("250 2.0.0 queued as 1", "mx.example[192.0.2.1]:25")
    assert client.conversation.is_idle


def test_commands_go_one_by_one_where_they_must(cut: Cut) -> None:
    client = Client(cut=cut).opened("SIZE").send(THREE)
    for answer, next_line in [
        ("250 ok", "RCPT TO:<ann@x.example>"),
        ("250 ok", "RCPT TO:<bob@x.example>"),
        ("550 no", "RCPT TO:<cid@x.example>"),
        ("250 ok", "DATA"),
    ]:
        assert len(client.lines()) == 1
        client.hear(answer)
        assert client.said == next_line.encode() + b"\r\n"
    assert client.hear("354 go").lines()[-1] == "."
    client.hear("250 ok")
    assert client.outcomes() == ["ann Delivered 250 ", "bob Failed 550 ", "cid Delivered 250 "]


def test_a_small_message_goes_in_one_write_with_chunking(cut: Cut) -> None:
    client = Client(cut=cut).opened(*CHUNKS).send(message=b"x\n.\ny")
    assert client.said == (
        b"MAIL FROM:<anna@hq.example> SIZE=5\r\nRCPT TO:<bob@x.example>\r\nBDAT 9 LAST\r\nx\r\n.\r\ny\r\n"
    )
    client.hear("250 2.1.0 ok", "250 2.1.5 ok", "250 2.0.0 ok")
    assert client.outcomes() == ["bob Delivered 250 2.0.0"]


def test_chunking_without_pipelining_waits_for_each_answer() -> None:
    client = Client().opened("CHUNKING").send()
    assert len(client.lines()) == 1
    assert client.hear("250 ok").lines() == ["RCPT TO:<bob@x.example>"]
    assert client.hear("250 ok").said == b"BDAT 30 LAST\r\n" + MESSAGE
    client.hear("250 ok")
    assert client.outcomes() == ["bob Delivered 250 "]


def test_a_large_message_is_not_sent_before_somebody_wants_it() -> None:
    large = b"x" * 998 + b"\r\n"
    large *= 700
    client = Client().opened(*CHUNKS).send(message=large)
    assert b"BDAT" not in client.said and len(client.lines()) == 2
    client.hear("250 ok", "250 ok")
    wire, body = client.said, b""
    sizes = []
    while wire:
        line, _, wire = wire.partition(b"\r\n")
        words = line.split()
        sizes.append(int(words[1]))
        body, wire = body + wire[: sizes[-1]], wire[sizes[-1] :]
        assert (words[2:] == [b"LAST"]) is (not wire)
    assert body == large and len(sizes) == 3
    client.hear(*["250 ok"] * 3)
    assert client.outcomes() == ["bob Delivered 250 "]
    client = Client().opened(*CHUNKS).send(message=large).hear("250 ok", "550 no")
    assert client.outcomes() == ["bob Failed 550 "]
    assert b"BDAT" not in client.said


def test_a_binary_message_keeps_its_octets() -> None:
    client = Client().opened(*CHUNKS).send(envelope("bob@x.example", body=Body.BINARY), b"a\nb\r\0")
    assert client.said.endswith(b"BDAT 5 LAST\r\na\nb\r\0")


def test_many_messages_over_one_conversation(cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN)
    for number in range(3):
        client.events.clear()
        client.send().hear("250 ok", "250 ok", "354 go", f"250 {number}")
        assert client.outcome().reply.text == str(number)
        assert not any(line.startswith("RSET") for line in client.lines())


def test_success_reports_are_left_to_a_server_that_offers_dsn() -> None:
    client = Client().opened(*PLAIN, "DSN").send().hear("250 ok", "250 ok", "354 go", "250 ok")
    outcome = client.outcome()
    assert isinstance(outcome, Delivered) and outcome.passes_dsn


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_each_recipient_has_its_own_answer(cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN).send(THREE)
    client.hear("250 ok", "550 5.1.1 nobody", "450 4.2.1 later", "250 ok", "354 go", "250 2.0.0 ok")
    assert client.outcomes() == ["ann Failed 550 5.1.1", "bob Deferred 450 4.2.1", "cid Delivered 250 2.0.0"]


def test_what_is_said_of_the_message_is_said_of_those_who_were_accepted(cut: Cut) -> None:
    for last, kind in (("554 5.6.0 no", "Failed 554 5.6.0"), ("451 4.3.0 later", "Deferred 451 4.3.0")):
        client = Client(cut=cut).opened(*PLAIN).send(THREE)
        client.hear("250 ok", "550 5.1.1 nobody", "250 ok", "250 ok", "354 go", last)
        assert client.outcomes() == ["ann Failed 550 5.1.1", f"bob {kind}", f"cid {kind}"]
        assert client.conversation.is_idle
        client = Client(cut=cut).opened(*PLAIN).send(THREE)
        client.hear("250 ok", "550 5.1.1 nobody", "250 ok", "250 ok", last)
        assert client.outcomes() == ["ann Failed 550 5.1.1", f"bob {kind}", f"cid {kind}"]
        client = Client(cut=cut).opened(*CHUNKS).send(THREE)
        client.hear("250 ok", "550 5.1.1 nobody", "250 ok", "250 ok", last)
        assert client.outcomes() == ["ann Failed 550 5.1.1", f"bob {kind}", f"cid {kind}"]


@pytest.mark.parametrize("offers", [PLAIN, CHUNKS])
def test_a_refused_sender_is_refused_for_all(offers: tuple[str, ...], cut: Cut) -> None:
    client = Client(cut=cut).opened(*offers).send(THREE)
    client.hear("550 5.1.8 bad sender", *["503 5.5.1 MAIL first"] * 4)
    assert client.outcomes() == [f"{name} Failed 550 5.1.8" for name in ("ann", "bob", "cid")]
    client = Client(cut=cut).opened("SIZE").send(THREE).hear("450 4.1.8 later")
    assert client.outcomes() == [f"{name} Deferred 450 4.1.8" for name in ("ann", "bob", "cid")]
    assert len(client.lines()) == 1


@pytest.mark.parametrize("offers", [PLAIN, CHUNKS])
def test_when_all_are_refused_the_message_is_not_sent_and_the_next_begins_anew(offers: tuple[str, ...]) -> None:
    client = Client().opened(*offers).send()
    client.hear("250 ok", "550 5.1.1 nobody", "554 5.5.1 no valid recipients")
    assert client.outcomes() == ["bob Failed 550 5.1.1"]
    client.lines()
    client.events.clear()
    lines = client.send().lines()
    assert lines[0] == "RSET" and lines[1].startswith("MAIL")
    client.hear("250 reset", "250 ok", "250 ok", *([] if "CHUNKING" in offers else ["354 go"]), "250 2.0.0 ok")
    assert client.outcomes() == ["bob Delivered 250 2.0.0"]


def test_without_pipelining_data_is_not_asked_for_nobody() -> None:
    client = Client().opened().send().hear("250 ok", "550 5.1.1 nobody")
    assert client.outcomes() == ["bob Failed 550 5.1.1"]
    assert not any(line == "DATA" for line in client.lines())
    client.events.clear()
    assert client.send().lines() == ["RSET"]
    assert client.hear("250 ok").lines() == ["MAIL FROM:<anna@hq.example>"]


def test_an_invitation_to_send_to_nobody_is_not_accepted(cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN).send().hear("250 ok", "550 5.1.1 nobody", "354 go")
    assert client.outcomes() == ["bob Failed 550 5.1.1"]
    assert client.ended().end is End.BREACH
    assert client.lines()[-1] == "DATA"


def test_a_message_taken_for_nobody_ends_the_conversation() -> None:
    client = Client().opened(*CHUNKS).send().hear("250 ok", "550 5.1.1 nobody", "250 2.0.0 taken")
    assert client.outcomes() == ["bob Failed 550 5.1.1"]
    assert client.ended().end is End.BREACH


def test_a_refused_chunk_stops_the_rest() -> None:
    content = BytesContent(b"x" * 1_000_000)
    client = Client().opened(*CHUNKS)
    mail = envelope("bob@x.example", body=Body.EIGHT_BIT)
    client.conversation.send(mail, mail.recipients, content)
    conversation = client.conversation
    conversation.take()
    conversation.receive(b"250 ok\r\n250 ok\r\n")
    conversation.next_body(), conversation.next_body()
    conversation.receive(b"552 5.3.4 too large\r\n")
    assert not conversation.wants_body and not conversation.is_idle
    conversation.receive(b"503 5.5.1 out of order\r\n")
    client.events += conversation.events()
    assert client.outcomes() == ["bob Failed 552 5.3.4"]
    assert client.send().lines()[0] == "RSET"


def test_a_message_refused_before_its_end_is_refused_and_the_connection_left() -> None:
    client = Client().opened(*PLAIN)
    mail = envelope("bob@x.example")
    client.conversation.send(mail, mail.recipients, BytesContent(b"x\r\n" * 100_000))
    conversation = client.conversation
    conversation.take()
    conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    conversation.next_body()
    conversation.receive(b"554 5.7.1 spam\r\n")
    client.events += conversation.events()
    assert client.outcomes() == ["bob Failed 554 5.7.1"]
    assert client.ended().end is End.CLOSING and not conversation.wants_body


@pytest.mark.parametrize("early", ["250 2.0.0 ok", "354 go"])
def test_no_message_is_delivered_before_its_end(early: str) -> None:
    client = Client().opened(*PLAIN)
    mail = envelope("bob@x.example")
    client.conversation.send(mail, mail.recipients, BytesContent(b"x\r\n" * 100_000))
    client.conversation.take()
    client.conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n" + early.encode() + b"\r\n")
    client.events += client.conversation.events()
    assert client.outcomes() == ["bob Deferred 451 4.5.0"]
    assert client.finished().unanswered == mail.recipients


# -- ends --------------------------------------------------------------------------------------------------------------


def test_a_connection_lost_after_the_end_may_have_delivered(cut: Cut) -> None:
    for loss in ("lost", "expired"):
        client = Client(cut=cut).opened(*PLAIN).send(THREE).hear("250 ok", "550 no", "250 ok", "250 ok", "354 go")
        client.conversation.lost("broken") if loss == "lost" else client.conversation.expired()
        client.look()
        assert client.outcomes() == ["ann Failed 550 ", "bob Deferred 451 4.4.2", "cid Deferred 451 4.4.2"]
        assert all(
            outcome.maybe_delivered
            for outcome in client.finished().outcomes.values()
            if isinstance(outcome, Deferred)
        )
        assert client.finished().unanswered == ()


def test_a_connection_lost_before_the_end_has_not_delivered() -> None:
    answers = ["250 ok", "250 ok", "250 ok", "250 ok"]
    for heard in range(5):
        client = Client().opened(*PLAIN).send(THREE).hear(*answers[:heard])
        client.conversation.lost("broken")
        finished = client.look().finished()
        assert finished.unanswered == THREE.recipients
        assert finished.is_untouched is (heard == 0)
        assert client.outcomes() == [f"{name} Deferred 451 4.4.2" for name in ("ann", "bob", "cid")]
        assert not any(getattr(outcome, "maybe_delivered", False) for outcome in finished.outcomes.values())


def test_in_one_write_the_message_may_have_arrived_unless_all_were_refused() -> None:
    for answers, maybe in (
        ((), True), (("250 ok", "250 ok"), True), (("550 no",), False), (("250 ok", "550 no"), False),
    ):  # fmt: skip
        client = Client().opened(*CHUNKS).send().hear(*answers)
        client.conversation.lost("broken")
        outcome = client.look().outcome()
        assert isinstance(outcome, Failed) if not maybe else outcome.maybe_delivered  # type: ignore[union-attr]


@pytest.mark.parametrize("heard", range(6))
def test_421_may_come_at_any_point_and_delivers_nothing(heard: int, cut: Cut) -> None:
    answers = ["250 ok", "250 ok", "250 ok", "250 ok", "354 go"]
    client = Client(cut=cut).opened(*PLAIN).send(THREE).hear(*answers[:heard], "421 4.3.2 closing")
    assert client.outcomes() == [f"{name} Deferred 421 4.3.2" for name in ("ann", "bob", "cid")]
    assert client.ended().end is End.CLOSING
    assert not any(getattr(outcome, "maybe_delivered", False) for outcome in client.finished().outcomes.values())


@pytest.mark.parametrize(
    "answers",
    [["530 5.7.0 log in", "503 5.5.1 no", "503 5.5.1 no"], ["250 ok", "535 5.7.8 who?", "503 5.5.1 no"],
     ["250 ok", "250 ok", "354 go", "538 5.7.11 not so"]],
)  # fmt: skip
def test_a_server_that_wants_another_login_is_left(answers: list[str], cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN).send().hear(*answers)
    assert isinstance(client.outcome(), Deferred)
    assert client.ended().end is End.LOGIN and client.lines()[-1] == "QUIT"


@pytest.mark.parametrize("surplus", ["250 ok", "550 5.1.1 nobody", "354 go", "450 x"])
def test_an_answer_too_many_is_counted_for_nobody(surplus: str, cut: Cut) -> None:
    client = Client(cut=cut).opened(*PLAIN).send().hear("250 ok", "250 ok", "354 go", "250 2.0.0 ok", surplus)
    assert client.outcomes() == ["bob Delivered 250 2.0.0"]
    assert client.ended().end is End.BREACH


def test_answers_out_of_count_deliver_nothing() -> None:
    client = Client().opened(*PLAIN).send().hear("250 ok", "250 ok", "250 ok", "354 go", "250 ok")
    assert client.outcomes() == ["bob Deferred 451 4.5.0"]
    assert client.lines()[-1] == "DATA"
    for answers in (["354 go"], ["250 ok", "354 go"], ["250 ok", "250 ok", "220 hello"]):
        client = Client().opened(*PLAIN).send().hear(*answers)
        assert client.outcomes() == ["bob Deferred 451 4.5.0"]
        assert client.ended().end is End.BREACH


def test_garbage_in_place_of_the_last_answer_leaves_it_open() -> None:
    client = Client().opened(*PLAIN).send().hear("250 ok", "250 ok", "354 go", "okay")
    outcome = client.outcome()
    assert isinstance(outcome, Deferred) and outcome.maybe_delivered


@pytest.mark.parametrize("half", [b"250 2.0.0 ok", b"250-2.0.0 ok\r\n", b"2"])
def test_half_an_answer_is_none(half: bytes, cut: Cut) -> None:
    """However the connection ends, with TLS's goodbye or without."""
    client = Client(cut=cut).opened(*PLAIN).send().hear("250 ok", "250 ok", "354 go")
    client.conversation.next_body() if client.conversation.wants_body else None
    client.hear_octets(half)
    client.conversation.lost("closed")
    outcome = client.look().outcome()
    assert isinstance(outcome, Deferred) and outcome.maybe_delivered


def test_a_reset_that_is_refused_ends_the_conversation() -> None:
    client = Client().opened(*PLAIN).send().hear("250 ok", "550 no", "554 no")
    client.events.clear()
    client.send().hear("500 what?")
    assert client.ended().end is End.BREACH
    assert client.finished().unanswered


def test_a_message_that_cannot_be_read_costs_only_itself() -> None:
    mail = envelope("bob@x.example")
    client = Client().opened(*CHUNKS[:-1], "SIZE")
    content = BrokenContent()
    content.size = SMALL
    client.conversation.send(mail, mail.recipients, content)
    client.look()
    assert client.outcomes() == ["bob Deferred 451 4.3.0"]
    assert client.said == b"" and client.conversation.is_idle


@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING"), ("CHUNKING",), ()])
@pytest.mark.parametrize("good", [b"", b"x" * 70_000])
def test_a_message_that_ends_too_soon_is_never_completed(offers: tuple[str, ...], good: bytes) -> None:
    mail = envelope("bob@x.example")
    client = Client().opened("8BITMIME", *offers)
    client.conversation.send(mail, mail.recipients, BrokenContent(good))
    client.look().hear("250 ok", "250 ok", "354 go")
    assert client.outcomes() == ["bob Deferred 451 4.3.0"]
    assert client.finished().unanswered == ()
    assert b"LAST" not in client.said and not client.said.endswith(b"\r\n.\r\n")
    assert client.ended().end is End.UNREADABLE


def test_nothing_is_sent_for_recipients_who_are_settled_here() -> None:
    client = Client().opened("SIZE 10").send()
    assert client.outcomes() == ["bob Failed 552 5.3.4"]
    assert client.said == b"" and client.conversation.is_idle


def test_a_second_message_waits_for_the_first() -> None:
    client = Client().opened(*PLAIN).send()
    mail = envelope("bob@x.example")
    with pytest.raises(RuntimeError):
        client.conversation.send(mail, mail.recipients, BytesContent(MESSAGE))
    with pytest.raises(RuntimeError):
        Client().send()


def test_patience() -> None:
    client = Client().opened(*PLAIN)
    conversation = client.conversation
    mail: Envelope = envelope("bob@x.example")
    conversation.send(mail, mail.recipients, BytesContent(b"x\r\n" * 100_000))
    assert conversation.timeout == PATIENCE[Step.MAIL] == 300
    conversation.receive(b"250 ok\r\n")
    assert conversation.timeout == PATIENCE[Step.RCPT] == 300
    conversation.receive(b"250 ok\r\n")
    assert conversation.timeout == PATIENCE[Step.DATA] == 120
    conversation.receive(b"354 go\r\n")
    assert conversation.timeout == PIECE_PATIENCE == 180
    while conversation.wants_body:
        moves = conversation.moves
        conversation.next_body()
        assert conversation.moves > moves
    assert conversation.timeout == PATIENCE[Step.BODY] == 600
    conversation.receive(b"250 ok\r\n")
    assert conversation.timeout is None
    assert isinstance(conversation.events()[0], Finished)
