"""A session: what a client says becomes questions to policy, and their answers become replies.

Here: the loop over the events of one ServerConversation, the commands, and every end. Not here: what speaks against
a sender or a recipient (inquiry.py), the message itself (handover.py), logins (authentication.py). No sockets: bytes
come in by `receive`, and go out through the Wire it was given. Who the client is was settled before it began
(policy/client.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, assert_never

from mercury_s.acceptance import Acceptance
from mercury_s.authentication import Authentication
from mercury_s.door import Door, ListenerTerms
from mercury_s.guest import Guest
from mercury_s.handover import Handover
from mercury_s.help import render_help
from mercury_s.inquiry import Inquiry, Objection
from mercury_s.policy.client import Welcome
from mercury_s.policy.patience import Phase
from mercury_s.policy.verdict import Manner, Refuse
from mercury_s.porter import Offence
from mercury_s.screening import Screening
from mercury_s.wire import Wire
from shared.mail.address import Address
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

SHUTTING_DOWN = Reply(421, "4.3.2", "This server is going down; try again in a moment")

#  A client is paused while this much of what it says waits for an answer.
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
        self.end = "lost"
        self._door = door
        self._terms = terms
        self._guest = Guest(door, welcome, address)
        self._wire = wire
        self._is_gone = False
        self._is_leaving = False
        self._may_introduce = may_introduce
        self._conversation = ServerConversation(self._offer(is_encrypted or terms.implicit_tls), door.limits)
        self._conversation.is_encrypted = is_encrypted or terms.implicit_tls
        if terms.is_submission:
            self._conversation.home = door.home
        self._authentication = Authentication(door, self._guest, wire)
        self._checking: asyncio.Task[None] | None = None
        self._handover = Handover(self._guest, self._conversation, wire, door.porter, door.keeps_subjects)
        chains = door.filters.for_client(address) if door.filters and not welcome.exempt else None
        self._screening = Screening(chains, address, door.porter) if chains else None
        self._inquiry = Inquiry(door, terms, self._guest, wire, self._screening)

    # ---- what the listener calls ----------------------------------------------------------------------------------

    def assume(self, login: str, identity: Address) -> None:
        """For a rehearsal (rehearsal.py): as if this account had logged in."""
        self._guest.login, self._guest.identity = login, identity
        self._conversation.home = self._door.home

    def begin(self) -> None:
        self._conversation.greet(f"{self._door.hostname} ESMTP Mercury; HELP helps")
        self._flush()

    def receive(self, data: bytes) -> None:
        self._conversation.receive(data)
        self._advance()

    def lost(self) -> None:
        """The connection is gone. A deposit under way goes on; a message without its end is forgotten."""
        self._is_gone = True
        self._handover.lost()

    def timed_out(self) -> None:
        self.end = "timeout"
        self._say_and_close(Reply(421, "4.4.2", "Nothing heard for too long; closing"))

    def leave(self) -> bool:
        """The server goes down: end now, or after the message whose end was already given. True if it ended."""
        self._is_leaving = True
        if self._handover.is_depositing:
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
    def messages(self) -> int:
        """How many we took."""
        return self._handover.taken

    @property
    def is_trusted(self) -> bool:
        """Whether it has shown that it is worth waiting for: by a login, or a message that we took."""
        return bool(self._guest.login) or self.messages > 0

    # ---- the loop -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        conversation = self._conversation
        while (event := conversation.next_event()) is not None:
            self._hear(event)
        output = conversation.take_output()
        if output and not self._is_gone:
            self._wire.send(output)
        if conversation.is_waited_for(_MOST_UNREAD):
            self._wire.pause()

    def _flush(self) -> None:
        output = self._conversation.take_output()
        if output and not self._is_gone:
            self._wire.send(output)

    def _hear(self, event: Event) -> None:
        match event:
            case RecipientGiven():
                self._recipient(event)
            case SenderGiven():
                self._sender(event)
            case DataAsked():
                self._object(self._handover.begin_data())
            case ContentReceived():
                self._handover.write(event.data)
            case MessageEnded():
                self._end_message()
            case HelloSaid():
                self._hello(event)
            case QuitSaid():
                self._quit()
            case ChunkBegun():
                self._handover.begin()
            case ChunkEnded():
                self._object(self._handover.end_chunk(event.size))
            case MessageSpoiled():
                log.event(
                    observed.MESSAGE_REFUSED, id=self._handover.id, client=self._guest.address, reason=event.reason
                )
                self._handover.forget()
            case TransactionReset():
                self._handover.forget()
                self._conversation.reply(replies.RESET)
            case TlsAsked():
                self._start_tls()
            case AuthAsked() | AuthAnswered():
                self._authenticate(event)
            case ClientIntroduced():
                self._introduce(event)
            case HelpAsked():
                self._conversation.reply(
                    render_help(event.topic, self._conversation.state, self._inquiry.must_log_in)
                )
            case VerifyAsked():
                self._conversation.reply(replies.CANNOT_VERIFY)
            case HungUp():
                self._hang_up(event.reason)
            case _:
                assert_never(event)

    # ---- commands -------------------------------------------------------------------------------------------------

    def _hello(self, event: HelloSaid) -> None:
        self._handover.forget()
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
        refusal = self._inquiry.ask_sender(event, self._handover.taken)
        if refusal is not None:
            self._refuse(observed.SENDER_REFUSED, refusal, sender=str(event.sender or "<>"))
            return
        submitter = self._inquiry.submitter()
        if submitter is not None:
            sender = submitter.bind_sender(event.sender)
            if isinstance(sender, Refuse):
                self._refuse(observed.SENDER_REFUSED, sender, sender=str(event.sender), login=self._guest.login)
                return
            event = replace(event, sender=sender)
        self._handover.acceptance = Acceptance(self._door, event, submitter, self._screening)
        self._conversation.reply(replies.SENDER_OK)

    def _recipient(self, event: RecipientGiven) -> None:
        acceptance = self._handover.acceptance
        assert acceptance is not None
        answer = self._inquiry.ask_recipient(event, acceptance)
        if isinstance(answer, Objection):
            self._refuse(observed.RECIPIENT_REFUSED, answer.refusal, recipient=str(answer.address))
            if answer.offence is not None:
                self._note(answer.offence)
            return
        acceptance.add(event, answer)
        self._conversation.reply(replies.RECIPIENT_OK)

    def _note(self, offence: Offence) -> None:
        """After too many of them the session ends."""
        last_word = self._guest.offend(offence)
        if last_word is not None:
            self._conversation.hang_up(last_word)

    def _start_tls(self) -> None:
        self._handover.forget()
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
        self._handover.forget()
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

    def _object(self, refusal: Refuse | None, **fields: str) -> None:
        if refusal is not None:
            self._refuse(observed.MESSAGE_REFUSED, refusal, **fields)

    def _end_message(self) -> None:
        queue_id = self._handover.id or ""
        self._object(self._handover.end(self._deposited), id=queue_id)

    def _deposited(self, error: OSError | None) -> None:
        """The message is durable, or it is not. Nothing happens between the one and its 250."""
        acceptance, reply = self._handover.settle(error)
        if not self._is_gone:
            self._conversation.reply(reply)
            self._resume()
        self._handover.report(acceptance, error)
        if self._is_leaving and not self._is_gone:
            self.end = "shutdown"
            self._say_and_close(SHUTTING_DOWN)

    def _resume(self) -> None:
        """After an answer that took its time: what was pipelined behind it goes on."""
        self._advance()
        if self._conversation.unread <= _MOST_UNREAD:
            self._wire.resume()

    # ---- refusals, and the end ------------------------------------------------------------------------------------

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
        self._handover.forget()
        self._flush()
        if reply is not None and not self._is_gone:
            self._wire.send(reply.render())
        self._wire.close()

    def _quit(self) -> None:
        self.end = "quit"
        self._handover.forget()
        self._conversation.reply(replies.GOODBYE)
        self._flush()
        self._wire.close()

    def _hang_up(self, reason: str) -> None:
        self.end = reason
        self._handover.forget()
        self._flush()
        log.event(observed.LIMIT_REACHED, client=self._guest.address, reason=reason)
        self._wire.close()

    def _say_and_close(self, reply: Reply) -> None:
        if not self._is_gone:
            self._handover.forget()
            self._flush()
            self._wire.send(reply.render())
            self._wire.close()
