"""Client against server in memory: whatever is sent, to whomever, cut however: the same message, the right answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from client_words import Client, envelope, to
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Recipient
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.client import Conversation
from shared.smtp.client_events import Finished, Opening
from shared.smtp.events import (
    ContentReceived,
    DataAsked,
    Event,
    HelloSaid,
    MessageEnded,
    RecipientGiven,
    SenderGiven,
)
from shared.smtp.extensions import Offer
from shared.smtp.server import Limits, ServerConversation


class NarrowOffer(Offer):
    """An offer without some of its words, so that the client has to go the older ways."""

    missing: tuple[str, ...] = ()

    def answer(self, client: str, is_extended: bool) -> Reply:
        whole = super().answer(client, is_extended)
        lines = [line for line in whole.text.split("\n") if line.split()[0] not in self.missing]
        return Reply(whole.code, whole.enhanced, "\n".join(lines))


@dataclass
class Server:
    """Takes what it is told to take. `verdicts` by local part; a message gets `final`."""

    conversation: ServerConversation
    verdicts: dict[str, Reply] = field(default_factory=dict)
    final: Reply = Reply(250, "2.0.0", "Taken")  # noqa: RUF009 - it is frozen
    taken: list[tuple[list[str], bytes]] = field(default_factory=list)
    _to: list[str] = field(default_factory=list)
    _content: bytes = b""

    def hear(self, data: bytes) -> bytes:
        self.conversation.receive(data)
        while (event := self.conversation.next_event()) is not None:
            self._note(event)
        return self.conversation.take_output()

    def _note(self, event: Event) -> None:
        reply = Reply(250, "2.0.0", "Ok")
        match event:
            case HelloSaid():
                reply = self.conversation.offer.answer(event.name, event.is_extended)
            case SenderGiven():
                self._to, self._content = [], b""
            case RecipientGiven():
                reply = self.verdicts.get(event.recipient.local, Reply(250, "2.1.5", event.recipient.local))
                self._to += [event.recipient.local] if reply.is_positive else []
            case ContentReceived():
                self._content += event.data
            case MessageEnded():
                reply = self.final
                self.taken += [(self._to, self._content)] if reply.is_positive else []
                self._content = b""
            case DataAsked():
                reply = replies.GO_AHEAD
        if self.conversation.owes_reply:
            self.conversation.reply(reply)


def meet(client: Client, server: Server, cuts: list[int]) -> None:
    """Let them talk until neither has anything more to say; `cuts` says how TCP cuts."""
    to_client, turn = server.conversation.take_output(), 0
    while True:
        client.hear_octets(to_client) if to_client else client.look()
        said, client.said = client.said, b""
        if not said and not to_client:
            return
        to_client = b""
        while said:
            size = cuts[turn % len(cuts)]
            to_client += server.hear(said[:size])
            said, turn = said[size:], turn + 1


letters = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"\r\n.\r\n", b"a", b"QUIT\r\n", b"x" * 700 + b"\r\n", b"\xe9"]),
    max_size=30,
).map(b"".join)
names = st.lists(st.sampled_from(["ann", "bob", "cid", "dan", "eve"]), min_size=1, max_size=5, unique=True)
answers = st.sampled_from([Reply(250, "2.1.5", "Ok"), Reply(550, "5.1.1", "Nobody"), Reply(450, "4.2.1", "Later")])
mails = st.lists(st.tuples(names, letters), min_size=1, max_size=4)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    mails,
    st.dictionaries(st.sampled_from(["ann", "bob", "cid", "dan", "eve"]), answers),
    st.sampled_from([Reply(250, "2.0.0", "Taken"), Reply(554, "5.6.0", "No"), Reply(452, "4.3.1", "Full")]),
    st.sets(st.sampled_from(["PIPELINING", "CHUNKING", "SIZE", "DSN", "8BITMIME"])),
    st.lists(st.sampled_from([1, 2, 3, 7, 100, 100_000]), min_size=1, max_size=5),
    st.booleans(),
)
def test_random_mail(
    mail: list[tuple[list[str], bytes]],
    verdicts: dict[str, Reply],
    final: Reply,
    missing: set[str],
    cuts: list[int],
    one_by_one: bool,
) -> None:
    offer = NarrowOffer("mx.test.example", 1_000_000)
    object.__setattr__(offer, "missing", tuple(missing))
    server = Server(ServerConversation(offer, Limits(errors=1000)), verdicts, final)
    server.conversation.greet("mx.test.example")
    client = Client(Opening("me.example"), (lambda data: [data[i : i + 1] for i in range(len(data))]) if one_by_one
                    else lambda data: [data])  # fmt: skip
    meet(client, server, cuts)
    for locals_, message in mail:
        client.events.clear()
        before = len(server.taken)
        recipients = to(*locals_)
        assert client.conversation.is_idle
        client.conversation.send(envelope(*locals_, body=Body.EIGHT_BIT), recipients, BytesContent(message))
        meet(client, server, cuts)
        outcomes = client.finished().outcomes
        assert set(outcomes) == set(recipients)
        _check(outcomes, recipients, verdicts, final)
        welcome = [name for name in locals_ if verdicts.get(name, final).code == 250 or name not in verdicts]
        expected = [(welcome, message if message.endswith(b"\r\n") or not message else message + b"\r\n")]
        assert server.taken[before:] == (expected if welcome and final.is_positive else [])


def _check(outcomes: object, recipients: tuple[Recipient, ...], verdicts: dict[str, Reply], final: Reply) -> None:
    for recipient in recipients:
        verdict = verdicts.get(recipient.address.local, Reply(250, "2.1.5", ""))
        expected = final if verdict.is_positive else verdict
        reply = outcomes[recipient].reply  # type: ignore[index]
        assert (reply.code, reply.enhanced) == (expected.code, expected.enhanced)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"220 mx.example\r\n", b"250 ok\r\n", b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n", b"354 go\r\n",
             b"550 5.1.1 no\r\n", b"450 no\r\n", b"421 bye\r\n", b"334 \r\n", b"235 ok\r\n", b"250-x\r\n", b"abc\r\n", b"25",
             b"\xff\r\n", b"554-a\r\n554 b\r\n"]
        ),
        max_size=14,
    ),
    st.booleans(),
)  # fmt: skip
def test_whatever_a_server_says_every_recipient_gets_exactly_one_outcome(said: list[bytes], ends: bool) -> None:
    mail = envelope("ann", "bob")
    conversation = Conversation(Opening("me.example"), "mx")
    finished, sent = 0, 0
    for words in [*said, b""]:
        conversation.receive(words) if words else conversation.lost("end") if ends else conversation.expired()
        conversation.take()
        while conversation.wants_body:
            conversation.next_body()
        for event in conversation.events():
            if isinstance(event, Finished):
                finished += 1
                assert set(event.outcomes) == set(mail.recipients)
        if conversation.is_idle:
            conversation.send(mail, mail.recipients, BytesContent(b"x\r\n"))
            sent += 1
    if not conversation.is_over:
        conversation.lost("end")
    finished += sum(isinstance(event, Finished) for event in conversation.events())
    assert finished == sent
