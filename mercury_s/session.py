"""A session: what a client says becomes questions to policy, and their answers become replies.

Holds one ServerConversation and at most one Acceptance. No sockets: bytes come in by `receive`, and go out through
the Wire it was given. Who the client is was settled before it began (policy/client.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, assert_never

from mercury_s.acceptance import Acceptance, Origin
from mercury_s.authentication import Authentication
from mercury_s.door import Door, ListenerTerms
from mercury_s.guest import Guest
from mercury_s.help import render_help
from mercury_s.local.directory import NoSuchUser
from mercury_s.policy.client import Welcome
from mercury_s.policy.literal import is_own_literal
from mercury_s.policy.patience import Phase
from mercury_s.policy.transaction import (
    RecipientFacts,
    SenderFacts,
    decide_recipient,
    decide_sender,
    storage_reply,
)
from mercury_s.policy.verdict import Accept, Manner, Refuse, Verdict
from mercury_s.porter import Offence
from mercury_s.screening import Screening
from mercury_s.submission import Submitter
from mercury_s.wire import Wire
from shared.mail.address import Address, AddressError
from shared.mail.reply import Reply
from shared.observe import events as observed
from shared.observe.log import log
from shared.smtp import replies
from shared.smtp.events import (
    AuthAnswered,
    AuthAsked,
    ChunkBegun,
    ChunkEnded,
    ClientIntroduced,
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
from shared.smtp.server import ServerConversation

TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Enough messages for one session; come again with the others")
SHUTTING_DOWN = Reply(421, "4.3.2", "This server is going down; try again in a moment")

#  A producer is paused while this much of its message waits for the disk, or of its commands for an answer.
_MOST_BACKLOG = 1024 * 1024
_MOST_UNREAD = 64 * 1024


class Session:
    """`address` is the client's IP address. `is_encrypted`: TLS has begun before. `may_introduce`: the peer may say
    XCLIENT."""

    def __init__(
        self,
        door: Door,
        terms: ListenerTerms,
        welcome: Welcome,
        address: str,
        wire: Wire,
        is_encrypted: bool = False,
        may_introduce: bool = False,
    ) -> None:
        self.messages = 0
        self.end = "lost"
        self._door = door
        self._terms = terms
        self._guest = Guest(door, welcome, address)
        self._wire = wire
        self._acceptance: Acceptance | None = None
        self._depositing = False
        self._is_gone = False
        self._is_leaving = False
        self._may_introduce = may_introduce
        self._conversation = ServerConversation(self._offer(is_encrypted or terms.implicit_tls), door.limits)
        self._conversation.is_encrypted = is_encrypted or terms.implicit_tls
        if terms.is_submission:
            self._conversation.home = door.home
        self._authentication = Authentication(door, self._guest, wire)
        self._checking: asyncio.Task[None] | None = None
        chains = door.filters.for_client(address) if door.filters and not welcome.exempt else None
        self._screening = Screening(chains, address, door.porter) if chains else None

    # ---- what the listener calls ----------------------------------------------------------------------------------

    def begin(self) -> None:
        self._conversation.greet(f"{self._door.hostname} ESMTP Mercury; HELP helps")
        self._flush()

    def receive(self, data: bytes) -> None:
        self._conversation.receive(data)
        self._advance()

    def lost(self) -> None:
        """The connection is gone. A deposit under way goes on; a message without its end is forgotten."""
        self._is_gone = True
        if not self._depositing and self._acceptance is not None:
            self._acceptance.abandon()
            self._acceptance = None

    def timed_out(self) -> None:
        self.end = "timeout"
        self._say_and_close(Reply(421, "4.4.2", "Nothing heard for too long; closing"))

    def leave(self) -> bool:
        """The server goes down: end now, or after the message whose end was already given. True if it ended."""
        self._is_leaving = True
        if self._depositing:
            return False
        self.end = "shutdown"
        self._say_and_close(SHUTTING_DOWN)
        return True

    @property
    def phase(self) -> Phase:
        """What we wait for."""
        conversation = self._conversation
        if conversation.owes_reply:
            return Phase.OURSELVES
        return Phase.CONTENT if conversation.is_receiving_content else Phase.COMMAND

    @property
    def is_trusted(self) -> bool:
        """Whether it has shown that it is worth waiting for: by a login, or a message that we took."""
        return bool(self._guest.login) or self.messages > 0

    # ---- the loop -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        conversation = self._conversation
        while (event := conversation.next_event()) is not None:
            self._hear(event)
        self._flush()
        if conversation.owes_reply and conversation.unread > _MOST_UNREAD:
            self._wire.pause()

    def _flush(self) -> None:
        output = self._conversation.take_output()
        if output and not self._is_gone:
            self._wire.send(output)

    def _hear(self, event: Event) -> None:
        match event:
            case ContentReceived():
                self._content(event.data)
            case RecipientGiven():
                self._recipient(event)
            case SenderGiven():
                self._sender(event)
            case DataAsked():
                self._data()
            case MessageEnded():
                self._end_message()
            case HelloSaid():
                self._hello(event)
            case ChunkBegun():
                self._begin_message()
            case ChunkEnded():
                self._end_chunk(event)
            case MessageSpoiled():
                log.event(observed.MESSAGE_REFUSED, id=self._id, client=self._guest.address, reason=event.reason)
                self._forget()
            case TransactionReset():
                self._forget()
                self._conversation.reply(replies.RESET)
            case QuitSaid():
                self._quit()
            case TlsAsked():
                self._start_tls()
            case AuthAsked() | AuthAnswered():
                self._authenticate(event)
            case ClientIntroduced():
                self._introduce(event)
            case HelpAsked():
                self._conversation.reply(render_help(event.topic, self._conversation.state))
            case VerifyAsked():
                self._conversation.reply(replies.CANNOT_VERIFY)
            case HungUp():
                self._hang_up(event.reason)
            case _:
                assert_never(event)

    # ---- commands -------------------------------------------------------------------------------------------------

    def _hello(self, event: HelloSaid) -> None:
        self._forget()
        refusal = self._screening.ask_hello(event.name) if self._screening else None
        if refusal is not None:
            self._refuse(observed.HELO_REFUSED, refusal, host=event.name)
            return
        self._guest.helo = event.name
        offer = self._conversation.offer
        if offer.auth:
            auth = self._authentication.possible(self._terms.auth)
            offer = self._conversation.offer = replace(offer, auth=auth)
        self._conversation.reply(offer.answer(event.name, event.is_extended))

    def _sender(self, event: SenderGiven) -> None:
        if self._screening:
            refusal = self._screening.ask_sender(self._guest.helo, event.sender, bool(self._guest.login))
            if refusal is not None:
                self._refuse(observed.SENDER_REFUSED, refusal, sender=str(event.sender or "<>"))
                return
        must_log_in = self._terms.is_submission and not (self._guest.login or self._guest.welcome.may_relay)
        free = self._door.room.free_bytes()
        verdict = decide_sender(SenderFacts(must_log_in, event.size, self._door.largest_message, free))
        if self._door.most_messages and self.messages >= self._door.most_messages:
            verdict = Refuse(TOO_MANY_MESSAGES, "receive.limits.messages is reached", Manner.CLOSE)
        elif self._door.throttle is not None and isinstance(verdict, Accept):
            verdict = self._door.throttle.message(self._guest.sending(event)) or verdict
        if isinstance(verdict, Refuse):
            self._refuse(observed.SENDER_REFUSED, verdict, sender=str(event.sender or "<>"))
            return
        submitter = self._submitter() if self._guest.login or self._terms.is_submission else None
        if submitter is not None:
            sender = submitter.bind_sender(event.sender)
            if isinstance(sender, Refuse):
                self._refuse(observed.SENDER_REFUSED, sender, sender=str(event.sender), login=self._guest.login)
                return
            event = replace(event, sender=sender)
        self._acceptance = Acceptance(self._door, event, submitter, self._screening)
        self._conversation.reply(replies.SENDER_OK)

    def _submitter(self) -> Submitter:
        return Submitter(self._door.directory, self._door.identities, self._door.home, self._guest.identity)

    def _recipient(self, event: RecipientGiven) -> None:
        acceptance, directory = self._acceptance, self._door.directory
        assert acceptance is not None
        address = event.recipient
        if not address.domain or self._is_at_our_ip(address):
            address = Address(address.local, self._door.home)
        refusal = self._screening.ask_recipient(address) if self._screening else None
        if refusal is not None:
            self._refuse(observed.RECIPIENT_REFUSED, refusal, recipient=str(address))
            return
        try:
            is_local = directory.is_local(address)
        except AddressError as error:
            self._refuse(
                observed.RECIPIENT_REFUSED,
                Refuse(Reply(553, "5.1.3", f"Bad recipient address: {error}"), "no valid domain"),
                recipient=str(address),
            )
            return
        found = directory.find(address) if is_local else None
        exists = is_local and not isinstance(found, NoSuchUser)
        may_relay = self._guest.welcome.may_relay or bool(self._guest.login)
        facts = RecipientFacts(is_local, exists, may_relay, len(acceptance.recipients), self._door.most_recipients)
        verdict: Verdict | None = decide_recipient(facts)
        if self._door.throttle is not None and isinstance(verdict, Accept):
            verdict = self._door.throttle.recipient(self._guest.sending(acceptance.sender)) or verdict
        if isinstance(verdict, Accept) and found is not None and self._door.reception is not None:
            is_inside = bool(self._guest.login or self._guest.welcome.site)
            verdict = self._door.reception.objection(found, acceptance.sender.sender, is_inside)
        if isinstance(verdict, Refuse):
            self._refuse(observed.RECIPIENT_REFUSED, verdict, recipient=str(address))
            self._note_refused(is_local, exists, may_relay)
            return
        acceptance.add(event, address)
        self._conversation.reply(replies.RECIPIENT_OK)

    def _is_at_our_ip(self, address: Address) -> bool:
        """user@[192.0.2.1] is one of ours when that is where the client found us (RFC 5321 §4.1.3)."""
        if not address.is_literal or self._door.directory.is_local(address):
            return False
        return is_own_literal(address.domain, self._wire.own_address())

    # ---- how it behaves -------------------------------------------------------------------------------------------

    def _note_refused(self, is_local: bool, exists: bool, may_relay: bool) -> None:
        """A recipient that few honest clients have; after too many of them the session ends."""
        if exists or (may_relay and not is_local):
            return
        last_word = self._guest.offend(Offence.UNKNOWN_RECIPIENT if is_local else Offence.RELAY_ATTEMPT)
        if last_word is not None:
            self._conversation.hang_up(last_word)

    def _refuse(self, name: observed.Event, refusal: Refuse, **fields: str) -> None:
        if refusal.manner is Manner.SILENCE:
            log.event(name, client=self._guest.address, reason=refusal.reason, **fields)
            self._close(refusal.reason)
            return
        log.event(name, client=self._guest.address, reply=str(refusal.reply), reason=refusal.reason, **fields)
        if refusal.manner is Manner.CLOSE:
            self._close(refusal.reason, refusal.reply)
        else:
            self._conversation.reply(refusal.reply)

    def _close(self, reason: str, reply: Reply | None = None) -> None:
        """End the session at once: the command that waits gets `reply` or nothing, those behind it are not heard."""
        self.end = reason
        self._forget()
        self._flush()
        if reply is not None and not self._is_gone:
            self._wire.send(reply.render())
        self._wire.close()

    def _quit(self) -> None:
        self.end = "quit"
        self._forget()
        self._conversation.reply(replies.GOODBYE)
        self._flush()
        self._wire.close()

    def _hang_up(self, reason: str) -> None:
        self.end = reason
        self._forget()
        self._flush()
        log.event(observed.LIMIT_REACHED, client=self._guest.address, reason=reason)
        self._wire.close()

    def _start_tls(self) -> None:
        self._forget()
        self._conversation.reply(replies.TLS_READY)
        self._flush()
        self._conversation.tls_started()
        self._conversation.offer = self._offer(is_encrypted=True)
        self._guest.helo = ""
        self._wire.start_tls()

    def _offer(self, is_encrypted: bool) -> Offer:
        offer = self._door.offer(self._terms, is_encrypted)
        return replace(offer, xclient=True) if self._may_introduce else offer

    def _introduce(self, event: ClientIntroduced) -> None:
        """The peer speaks for somebody else: this session is over, and one with that client begins."""
        self._forget()
        self._flush()
        log.event(
            observed.CLIENT_INTRODUCED,
            client=event.address or self._guest.address,
            by=self._guest.address,
            name=event.name or None,
            helo=event.helo or None,
        )
        self.end = "introduced another client"
        self._is_gone = True
        self._wire.introduce(event.address, self._conversation.is_encrypted)

    # ---- AUTH -----------------------------------------------------------------------------------------------------

    def _authenticate(self, event: AuthAsked | AuthAnswered) -> None:
        turn = self._authentication.hear(event, self._conversation.offer.auth)
        if isinstance(turn, Reply):
            self._conversation.reply(turn)
        else:
            self._checking = asyncio.ensure_future(self._await_login(turn))

    async def _await_login(self, turn: Coroutine[Any, Any, Reply]) -> None:
        reply = await turn
        if self._guest.login:
            self._conversation.home = self._door.home
        self._answer_login(reply)

    def _answer_login(self, reply: Reply) -> None:
        if self._is_gone:
            return
        self._conversation.reply(reply)
        if reply.code == 421:
            self.end = "failed logins"
            self._flush()
            self._wire.close()
        else:
            self._resume()

    # ---- the message ----------------------------------------------------------------------------------------------

    @property
    def _id(self) -> str | None:
        return self._acceptance.id if self._acceptance is not None else None

    def _data(self) -> None:
        self._begin_message()
        assert self._acceptance is not None
        refusal = self._acceptance.refusal
        if refusal is None:
            self._conversation.reply(replies.GO_AHEAD)
        else:
            self._forget()
            self._refuse(observed.MESSAGE_REFUSED, refusal)

    def _end_chunk(self, event: ChunkEnded) -> None:
        assert self._acceptance is not None
        refusal = self._acceptance.refusal
        if refusal is None or refusal.manner is Manner.SILENCE:
            self._conversation.reply(Reply(250, "2.0.0", f"{event.size} octets so far"))
        else:
            self._forget()
            self._refuse(observed.MESSAGE_REFUSED, refusal)

    def _begin_message(self) -> None:
        assert self._acceptance is not None
        conversation = self._conversation
        self._acceptance.begin(
            Origin(
                self._guest.helo,
                self._guest.address,
                _protocol(conversation, self._acceptance.sender.smtputf8, bool(self._guest.login)),
                self._guest.welcome.site,
                self._guest.login,
                self._wire.tls_words() if conversation.is_encrypted else "",
            )
        )

    def _content(self, data: bytes) -> None:
        acceptance = self._acceptance
        assert acceptance is not None
        acceptance.write(data)
        if acceptance.backlog() > _MOST_BACKLOG:
            self._wire.pause()
            acceptance.on_drained(self._drained)

    def _drained(self) -> None:
        if not self._is_gone:
            self._wire.resume()

    def _end_message(self) -> None:
        acceptance = self._acceptance
        assert acceptance is not None
        self._depositing = True
        refusal = acceptance.commit(self._deposited)
        if refusal is not None:
            self._depositing = False
            self._acceptance = None
            if refusal.manner is Manner.SILENCE:
                log.event(
                    observed.MESSAGE_DROPPED, id=acceptance.id, client=self._guest.address, reason=refusal.reason
                )
                self._conversation.reply(_taken(acceptance))
            else:
                self._refuse(observed.MESSAGE_REFUSED, refusal, id=acceptance.id)

    def _deposited(self, error: OSError | None) -> None:
        """The message is durable, or it is not. Nothing happens between the one and its 250."""
        acceptance, self._acceptance = self._acceptance, None
        assert acceptance is not None
        self._depositing = False
        if error is None:
            self.messages += 1
            self._door.porter.remember(self._guest.address)
            reply = _taken(acceptance)
        else:
            reply = storage_reply(error)
        if not self._is_gone:
            self._conversation.reply(reply)
            self._resume()
        self._report(acceptance, error)
        if self._is_leaving and not self._is_gone:
            self.end = "shutdown"
            self._say_and_close(SHUTTING_DOWN)

    def _report(self, acceptance: Acceptance, error: OSError | None) -> None:
        if error is not None:
            log.event(observed.DEPOSIT_FAILED, id=acceptance.id, client=self._guest.address, reason=str(error))
            return
        log.event(
            observed.MESSAGE_ACCEPTED,
            id=acceptance.id,
            client=self._guest.address,
            login=self._guest.login or None,
            sender=str(acceptance.sender.sender or "<>"),
            recipient=",".join([str(recipient.address) for recipient in acceptance.recipients[:20]]),
            recipients=len(acceptance.recipients),
            size=acceptance.size,
        )

    def _resume(self) -> None:
        """After an answer that took its time: what was pipelined behind it goes on."""
        self._advance()
        if self._conversation.unread <= _MOST_UNREAD:
            self._wire.resume()

    def _forget(self) -> None:
        if self._acceptance is not None:
            self._acceptance.abandon()
            self._acceptance = None

    def _say_and_close(self, reply: Reply) -> None:
        if not self._is_gone:
            self._forget()
            self._flush()
            self._wire.send(reply.render())
            self._wire.close()


def _taken(acceptance: Acceptance) -> Reply:
    return Reply(250, "2.0.0", f"OK, queued as {acceptance.id}")


def _protocol(conversation: ServerConversation, smtputf8: bool, is_authenticated: bool) -> str:
    """RFC 3848, RFC 6531 §4.3."""
    if not conversation.is_extended:
        return "SMTP"
    base = "UTF8SMTP" if smtputf8 else "ESMTP"
    return base + ("S" if conversation.is_encrypted else "") + ("A" if is_authenticated else "")
