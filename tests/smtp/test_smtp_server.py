"""The server's conversation: every state with every verb, replies in order, and nothing depends on how TCP cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.events import (
    AuthAnswered,
    AuthAsked,
    ChunkBegun,
    ChunkEnded,
    ContentReceived,
    DataAsked,
    Event,
    HelloSaid,
    HelpAsked,
    HungUp,
    MessageEnded,
    MessageSpoiled,
    QuitSaid,
    RecipientGiven,
    SenderGiven,
    TlsAsked,
    TransactionReset,
    VerifyAsked,
)
from shared.smtp.extensions import Offer
from shared.smtp.server import Limits, ServerConversation
from shared.smtp.transitions import NEXT, VERBS, State

OFFER = Offer("mx.test.example", 100_000, starttls=True)
AUTH_OFFER = Offer("mx.test.example", 100_000, starttls=False, auth=("PLAIN", "LOGIN"))


class Holder:
    """Answers every event with success, as the plainest server would, and keeps what it saw."""

    def __init__(self, offer: Offer = OFFER, limits: Limits | None = None, refuse: tuple[str, ...] = ()) -> None:
        self.conversation = ServerConversation(offer, limits)
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self.sent = b""
        self.refuse = refuse
        self._content: list[bytes] = []

    def hear(self, *pieces: bytes) -> Holder:
        for piece in pieces:
            self.conversation.receive(piece)
            while (event := self.conversation.next_event()) is not None:
                self.events.append(event)
                self._answer(event)
            self.sent += self.conversation.take_output()
        return self

    def _answer(self, event: Event) -> None:
        say = self.conversation.reply
        match event:
            case HelloSaid():
                say(self.conversation.offer.answer(event.name, event.is_extended))
            case SenderGiven():
                self._content = []
                say(replies.SENDER_OK)
            case RecipientGiven():
                refused = event.recipient.local in self.refuse
                say(Reply(550, "5.1.1", "No such user") if refused else replies.RECIPIENT_OK)
            case DataAsked():
                say(replies.GO_AHEAD)
            case ContentReceived():
                self._content.append(event.data)
            case ChunkEnded():
                say(Reply(250, "2.0.0", f"{event.size} octets"))
            case MessageEnded():
                self.messages.append(b"".join(self._content))
                say(replies.OK)
            case TransactionReset():
                say(replies.RESET)
            case TlsAsked():
                say(replies.TLS_READY)
            case AuthAsked():
                say(Reply(334, "", "") if event.initial is None else replies.AUTHENTICATED)
            case AuthAnswered():
                say(replies.AUTH_CANCELLED if event.response is None else replies.AUTHENTICATED)
            case HelpAsked() | VerifyAsked():
                say(replies.CANNOT_VERIFY)
            case QuitSaid():
                say(replies.GOODBYE)
            case ChunkBegun() | MessageSpoiled() | HungUp():
                pass

    @property
    def codes(self) -> list[int]:
        return [int(line[:3]) for line in self.sent.split(b"\r\n") if line[3:4] == b" "]


HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@client.example>\r\n"
RCPT = b"RCPT TO:<b@test.example>\r\n"
WAY_TO = {
    State.START: b"",
    State.READY: HELLO,
    State.SENDER: HELLO + MAIL,
    State.RECIPIENTS: HELLO + MAIL + RCPT,
    State.CHUNKS: HELLO + MAIL + RCPT + b"BDAT 3\r\nabc",
}
LINE_OF = {
    "EHLO": HELLO, "HELO": b"HELO client.example\r\n", "MAIL": MAIL, "RCPT": RCPT, "DATA": b"DATA\r\n",
    "BDAT": b"BDAT 3\r\nabc", "AUTH": b"AUTH PLAIN AGEAYg==\r\n",
}  # fmt: skip


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_in_every_state(state: State, verb: str) -> None:
    """What the table has succeeds and leads where it says; the rest is 503 (554 after refused recipients)."""
    offer = Offer("mx.test.example", 100_000, starttls=verb == "STARTTLS", auth=("PLAIN",))
    holder = Holder(offer).hear(WAY_TO[state])
    assert holder.conversation.state is state
    holder.sent = b""
    holder.hear(LINE_OF.get(verb, verb.encode() + b"\r\n"))
    if (state, verb) not in NEXT:
        assert holder.codes == [503]
        assert holder.conversation.state is state
    elif verb == "EXPN":
        assert holder.codes == [502]
    else:
        assert holder.codes[0] < 400
        if verb == "DATA":
            assert holder.conversation.is_receiving_content
        else:
            assert holder.conversation.state is NEXT[state, verb]


def test_replies_wait_for_the_answer_that_is_owed() -> None:
    conversation = ServerConversation(OFFER)
    conversation.receive(HELLO + MAIL + RCPT)
    assert isinstance(conversation.next_event(), HelloSaid)
    assert conversation.next_event() is None, "the second command must wait for the first reply"
    assert conversation.owes_reply
    conversation.reply(replies.OK)
    assert isinstance(conversation.next_event(), SenderGiven)


def test_pipelined_replies_leave_in_one_write() -> None:
    conversation = ServerConversation(OFFER)
    conversation.receive(b"NOOP\r\nNOOP\r\nRSET\r\n")
    assert isinstance(conversation.next_event(), TransactionReset)
    conversation.reply(replies.RESET)
    assert conversation.take_output().count(b"\r\n") == 3


def test_each_answer_belongs_to_its_own_recipient() -> None:
    holder = Holder(refuse=("stranger",)).hear(
        HELLO + MAIL + b"RCPT TO:<known@a.example>\r\nRCPT TO:<stranger@a.example>\r\n"
    )
    assert holder.codes == [250, 250, 250, 550]


def test_data_after_refused_recipients_is_554() -> None:
    holder = Holder(refuse=("b",)).hear(HELLO + MAIL + RCPT + b"DATA\r\n")
    assert holder.codes[-1] == 554


SESSION = (
    HELLO
    + MAIL
    + RCPT
    + b"DATA\r\n"
    + b"Subject: one\r\n\r\n..stuffed\r\n.x\r\nend\r\n.\r\n"
    + b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nBDAT 14\r\nSubject: two\r\nBDAT 11 LAST\r\n\r\n.\r\nMAIL\r\n"
    + b"NOOP\r\nnonsense\r\nVRFY x\r\nRSET\r\nQUIT\r\n"
)
MESSAGES = [b"Subject: one\r\n\r\n.stuffed\r\nx\r\nend\r\n", b"Subject: two\r\n\r\n.\r\nMAIL\r\n"]


def test_a_session_byte_by_byte_is_the_session_in_one_piece() -> None:
    whole, bytewise = Holder().hear(SESSION), Holder().hear(*(bytes([octet]) for octet in SESSION))
    assert whole.messages == bytewise.messages == MESSAGES
    assert whole.sent == bytewise.sent
    assert whole.codes[-1] == 221


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.integers(0, len(SESSION)), max_size=12))
def test_any_cut_of_a_session_gives_the_same_replies_and_messages(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SESSION)]
    holder = Holder().hear(*(SESSION[a:b] for a, b in itertools.pairwise(edges)))
    assert (holder.messages, holder.sent) == (MESSAGES, Holder().hear(SESSION).sent)


HOSTILE = [
    b"MAIL FROM:<a@client.example>\nRCPT TO:<victim@remote.example>\r\n",
    b"\x00\x01\x02\r\n", b"NOOP\rRSET\r\n", b"NOOP " + b"x" * 5000 + b"\r\n", b"\r\n", b"\n", b" NOOP\r\n",
    b"MA\xc4\xb0L FROM:<a@b.example>\r\n", b"BDAT -5 LAST\r\n", b"BDAT 99999999999999999999 LAST\r\n", b"BDAT\r\n",
    b"DATA now\r\n", b"RCPT TO:<b@test.example> X=1\r\n", b"MAIL FROM:<> SIZE=\xd9\xa1\r\n", b"AUTH\r\n",
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE)
def test_bad_input_is_refused_and_is_the_same_however_it_is_cut(line: bytes) -> None:
    whole = Holder().hear(HELLO, line + b"QUIT\r\n")
    bytewise = Holder().hear(HELLO, *(bytes([octet]) for octet in line + b"QUIT\r\n"))
    assert whole.sent == bytewise.sent
    assert any(code >= 421 for code in whole.codes)
    assert whole.messages == []


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nHost: mx\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\r\n"]
)
def test_another_protocol_is_sent_away(line: bytes) -> None:
    holder = Holder().hear(line + HELLO + MAIL + RCPT + b"DATA\r\nx\r\n.\r\n")
    assert holder.codes == [421]
    assert isinstance(holder.events[-1], HungUp)


def test_a_refused_chunk_is_not_read_as_commands() -> None:
    holder = Holder().hear(HELLO + MAIL + b"BDAT 12 LAST\r\nNOOP\r\nNOOP\r\nQUIT\r\n")
    assert holder.codes == [250, 250, 503, 221]


def test_commands_behind_starttls_close_the_session() -> None:
    holder = Holder().hear(HELLO + b"STARTTLS\r\nMAIL FR")
    assert holder.codes == [250, 421]


def test_starttls_forgets_everything() -> None:
    holder = Holder().hear(HELLO + b"STARTTLS\r\n")
    holder.conversation.tls_started()
    holder.hear(MAIL)
    assert holder.codes[-1] == 503


def test_spoiled_message_is_drained_to_its_true_end() -> None:
    smuggled = b"a\n.\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nevil\r\n.\r\n"
    holder = Holder().hear(HELLO + MAIL + RCPT + b"DATA\r\n" + smuggled + b"QUIT\r\n")
    assert holder.codes == [250, 250, 250, 354, 554, 221]
    assert holder.messages == []


def test_message_over_the_limit_is_drained_and_refused() -> None:
    holder = Holder(Offer("mx", 1000)).hear(
        HELLO + MAIL + RCPT + b"DATA\r\n", b"x" * 5000, b"\r\nRSET\r\n", b".\r\nQUIT\r\n"
    )
    assert holder.codes == [250, 250, 250, 354, 552, 221]


def test_errors_end_the_session() -> None:
    holder = Holder(limits=Limits(errors=5)).hear(HELLO + b"FROBNICATE\r\n" * 200)
    assert holder.codes == [250, 500, 500, 500, 500, 500, 421]
    assert isinstance(holder.events[-1], HungUp)


def test_endless_small_commands_end_the_session() -> None:
    assert Holder(limits=Limits(idle_commands=10)).hear(b"NOOP\r\n" * 50).codes == [250] * 10 + [421]


def test_auth_exchange_and_cancel() -> None:
    holder = Holder(AUTH_OFFER).hear(
        HELLO + b"AUTH PLAIN\r\n", b"*\r\n", b"AUTH PLAIN\r\n", b"AGEAYg==\r\n", b"AUTH PLAIN x\r\n"
    )
    assert holder.codes == [250, 334, 501, 334, 235, 503]


def test_an_endless_answer_to_a_challenge_is_one_error() -> None:
    holder = Holder(AUTH_OFFER).hear(HELLO + b"AUTH PLAIN\r\n", b"A" * 80_000, b"\r\nNOOP\r\n")
    assert holder.codes == [250, 334, 500, 250]
    assert not holder.conversation.is_authenticated


def test_auth_without_tls_says_so() -> None:
    assert Holder(OFFER).hear(HELLO + b"AUTH PLAIN AGEAYg==\r\n").codes == [250, 538]


def test_parameters_after_helo_are_refused() -> None:
    assert Holder().hear(b"HELO x\r\nMAIL FROM:<a@b.example> SIZE=1\r\n").codes == [250, 555]


def test_nothing_is_heard_after_quit() -> None:
    assert Holder().hear(b"QUIT\r\nNOOP\r\n").codes == [221]
