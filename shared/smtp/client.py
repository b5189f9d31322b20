"""The client's side of SMTP and LMTP: replies in, bytes out, events out (RFC 5321, 2033, 2920, 3030, 3207, 4954,
3461).

A conversation is opened once (greeting, EHLO, STARTTLS, AUTH) and then carries message after message. It keeps a
queue of the answers that the server owes; a reply to nothing in that queue ends it, so that no reply is ever counted
for the wrong recipient. Not here: sockets, clocks and retries (shared/transport), what a reply means (judge.py), the
command lines (errand.py), the beginning (client_opening.py).

Call `receive`, `secured`, `lost`, `expired`, `send` and `quit` as things happen. After each call write `take()`,
handle `events()`, and while `wants_body` write `next_body()` as fast as the connection takes it. `timeout` says how
many seconds the present state may last, counted from the last change of `moves`.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.reply import Reply
from shared.smtp.client_events import Ended, Finished, Opening
from shared.smtp.client_opening import OpeningTalk
from shared.smtp.client_transaction import SMALL, Transaction
from shared.smtp.errand import Errand, plan_errand, unreadable
from shared.smtp.judge import End, Step, judge_end

#  RFC 5321 §4.5.3.2, in seconds. Each is a deadline for the whole answer, not a pause between two octets of it.
#  The goodbye is ours to give up on: nothing depends on it.
PATIENCE = {
    Step.GREETING: 300.0,
    Step.EHLO: 300.0,
    Step.HELO: 300.0,
    Step.STARTTLS: 120.0,
    Step.AUTH: 120.0,
    Step.RSET: 300.0,
    Step.MAIL: 300.0,
    Step.RCPT: 300.0,
    Step.DATA: 120.0,
    Step.CHUNK: 180.0,
    Step.BODY: 600.0,
    Step.QUIT: 5.0,
}
HANDSHAKE_PATIENCE = 60.0
PIECE_PATIENCE = 180.0

#  After these the server still listens, and a client that leaves says so.
_POLITE_ENDS = frozenset({End.REFUSED, End.NO_TLS, End.LOGIN, End.LOOP})


class Conversation(OpeningTalk):
    """`host` names the server in outcomes (`name[address]:port`)."""

    def __init__(self, opening: Opening, host: str = "") -> None:
        super().__init__(opening)
        self._host = host
        self._transaction: Transaction | None = None
        self._following: Transaction | Finished | None = None
        self._needs_reset = False
        self._after |= {
            Step.RSET: self._after_rset,
            Step.MAIL: self._after_mail,
            Step.RCPT: self._after_rcpt,
            Step.DATA: self._after_data,
            Step.CHUNK: self._after_chunk,
            Step.BODY: self._after_body,
            Step.QUIT: self._after_quit,
        }

    @property
    def is_idle(self) -> bool:
        """Open, and nothing is on its way: `send` may be called."""
        return self.is_open and not self.is_over and self._transaction is None and not self._owed

    @property
    def takes_next(self) -> bool:
        """The message is out and waits for its answer only: the next may be begun behind it (RFC 2920 §3.1 lets the
        end of a message be the first of a group). Its own answers come after that one."""
        transaction = self._transaction
        return (
            transaction is not None
            and transaction.is_end_sent
            and len(self._owed) == 1
            and not transaction.is_doomed
            and self._following is None
            and "PIPELINING" in self.extensions
            and not self._opening.lmtp
            and not self.is_over
        )

    @property
    def is_leaving(self) -> bool:
        """Goodbye has been said."""
        return bool(self._owed) and self._owed[0] is Step.QUIT

    @property
    def timeout(self) -> float | None:
        """How long the present state may last; None when the server owes nothing."""
        if self.is_over:
            return None
        if self._awaits_tls:
            return HANDSHAKE_PATIENCE
        if self.wants_body:
            return PIECE_PATIENCE
        return PATIENCE[self._owed[0]] if self._owed else None

    @property
    def wants_body(self) -> bool:
        return self._transaction is not None and self._transaction.is_streaming

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        if self._awaits_tls:
            self._end(End.TLS, None, reason)
        elif self.is_leaving:
            self._end(End.GOODBYE)
        else:
            self._end(End.LOST, None, reason)

    def expired(self) -> None:
        """`timeout` seconds have passed without a move."""
        waited = f"waited {self.timeout or 0:.0f} s"
        if self._awaits_tls:
            self._end(End.TLS, None, f"{waited} for the handshake")
        elif self.wants_body:
            self._end(End.SILENT, None, f"{waited} for it to read more of the message")
        else:
            self._end(End.SILENT, None, f"{waited} for the answer to {self._owed[0] if self._owed else 'nothing'}")

    def send(self, envelope: Envelope, recipients: Sequence[Recipient], content: Content) -> None:
        """Hand over one message. Call it only when `is_idle` or `takes_next`; a Finished event will answer, in the
        order of the messages."""
        if not (self.is_idle or self.takes_next):
            raise RuntimeError("the conversation is not idle")
        try:
            errand = plan_errand(envelope, recipients, content, self.extensions, self.is_secure)
            if errand.recipients and errand.lacks is None:
                self._begin(errand, content)
            else:
                self._settle(Finished(errand.settled, lacks=errand.lacks))
        except OSError as error:
            self._settle(Finished(dict.fromkeys(recipients, unreadable(error))))

    def _settle(self, finished: Finished) -> None:
        """A message that needs no journey; said in its turn."""
        if self._transaction is None:
            self._events.append(finished)
        else:
            self._following = finished

    def next_body(self) -> bytes:
        """The next piece of the message; empty only when the conversation has just ended over it."""
        transaction = self._transaction
        assert transaction is not None
        self.moves += 1
        try:
            piece, is_last = transaction.next_piece()
        except OSError as error:
            self._end(End.UNREADABLE, None, str(error))
            return b""
        if not transaction.chunked:
            return piece
        self._owed.extend(self._answers_to_body(transaction) if is_last else (Step.CHUNK,))
        return b"BDAT %d%b\r\n%b" % (len(piece), b" LAST" if is_last else b"", piece)

    def quit(self) -> None:
        """Say goodbye. Call it only when `is_idle`."""
        self._say(Step.QUIT, "QUIT")

    # -- a message -------------------------------------------------------------------------------------------------

    def _begin(self, errand: Errand, content: Content) -> None:
        """MAIL, every RCPT and DATA in one write where the server takes it so; BDAT with the body in it, too."""
        offer = self.extensions
        chunked = "CHUNKING" in offer
        transaction = Transaction(errand, content, self._host, chunked, "DSN" in offer, self.security_words)
        lines = [errand.mail, *errand.rcpts]
        steps = [Step.MAIL] + [Step.RCPT] * len(errand.rcpts)
        if self._needs_reset:
            lines.insert(0, b"RSET\r\n")
            steps.insert(0, Step.RSET)
        if not chunked:
            lines.append(b"DATA\r\n")
            steps.append(Step.DATA)
        if "PIPELINING" not in offer:
            transaction.script.extend(zip(steps, lines, strict=True))
        else:
            #  How many answers LMTP gives to the last BDAT is known only when those to RCPT are.
            if chunked and content.size <= SMALL and not self._opening.lmtp:
                body = transaction.whole_body()
                lines += (b"BDAT %d LAST\r\n" % len(body), body)
                steps.append(Step.BODY)
            self._out.append(b"".join(lines))
            self._owed.extend(steps)
        self._needs_reset = False
        self.moves += 1
        if self._transaction is not None:
            self._following = transaction
            return
        self._transaction = transaction
        self._go_on()

    def _go_on(self) -> None:
        """When nothing is owed: the next command, the body, or the end of the transaction."""
        transaction = self._transaction
        if transaction is None or self._owed:
            return
        if transaction.script:
            step, line = transaction.script[0]
            if not transaction.is_doomed and (step is not Step.DATA or transaction.accepted):
                transaction.script.popleft()
                self._out.append(line)
                self._owed.append(step)
                return
        elif transaction.accepted and not transaction.is_doomed:
            self._begin_body(transaction)
            return
        self._finish(needs_reset=True)

    def _begin_body(self, transaction: Transaction) -> None:
        try:
            transaction.begin_body()
        except OSError as error:
            self._end(End.UNREADABLE, None, str(error))
            return
        if not transaction.chunked:
            self._owed.extend(self._answers_to_body(transaction))

    def _answers_to_body(self, transaction: Transaction) -> tuple[Step, ...]:
        """One for the message; with LMTP one for each recipient that was accepted (RFC 2033 §4.2, §4.3)."""
        return (Step.BODY,) * len(transaction.accepted) if self._opening.lmtp else (Step.BODY,)

    def _after_rset(self, reply: Reply) -> None:
        if reply.code != 250:
            self._end(End.BREACH, reply)
            return
        self._go_on()

    def _after_mail(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if not reply.is_positive:
            transaction.note_sender_refused(reply)
        elif reply.code >= 300:
            self._end(End.BREACH, None, f"it answers MAIL with {reply}")
            return
        if not self._owed:
            self._go_on()

    def _after_rcpt(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if 300 <= reply.code < 400:
            self._end(End.BREACH, None, f"it answers RCPT with {reply}")
            return
        transaction.note_recipient(reply)
        if not self._owed:
            self._go_on()

    def _after_data(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if reply.code == 354 and transaction.accepted and not transaction.is_doomed:
            self._begin_body(transaction)
        elif reply.is_positive:
            #  Invited to send a message that it has no recipient for, or out of step. Whatever is sent now would be
            #  a message or a command for somebody: nothing is sent.
            self._end(End.BREACH, None, f"it answers DATA with {reply}")
        else:
            transaction.note_message(Step.DATA, reply)
            self._finish(needs_reset=True)

    def _after_chunk(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if 300 <= reply.code < 400:
            self._end(End.BREACH, None, f"it answers BDAT with {reply}")
            return
        if not reply.is_positive:
            transaction.note_message(Step.CHUNK, reply)
        if transaction.is_doomed:
            self._go_on()

    def _after_body(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if reply.is_positive and (reply.code >= 300 or not transaction.is_end_sent):
            self._end(End.BREACH, None, f"it answers the message with {reply}")
            return
        if reply.is_positive and (transaction.is_doomed or not transaction.accepted):
            self._end(End.BREACH, None, "it takes a message for nobody")
            return
        if self._opening.lmtp:
            transaction.note_delivery(reply)
            if not transaction.is_end_sent:
                self._end(End.CLOSING, None, "it answered before the end of the message")
            elif not self._owed:
                self._finish(needs_reset=False)
            return
        transaction.note_message(Step.BODY, reply)
        in_step = transaction.is_end_sent
        self._finish(needs_reset=not reply.is_positive)
        if not in_step:
            #  A refusal in the middle of the message is taken at its word, but the server still reads message text.
            self._end(End.CLOSING, None, "it refused a message before its end")

    def _in_transaction(self) -> Transaction:
        assert self._transaction is not None
        self._transaction.is_heard = True
        return self._transaction

    def _finish(self, needs_reset: bool) -> None:
        assert self._transaction is not None
        self._events.append(Finished(self._transaction.outcomes, security=self.security))
        if self._transaction.estrangement is not None:
            #  Whatever came next over this connection would be told the same.
            estrangement, self._transaction = self._transaction.estrangement, None
            self._end(End.LOGIN, estrangement)
            return
        following, self._following = self._following, None
        if isinstance(following, Transaction):
            #  It is begun. A message that is answered, however, leaves nothing behind it (RFC 5321 §4.1.1.4).
            self._transaction = following
            return
        self._needs_reset = needs_reset
        self._transaction = None
        if following is not None:
            self._events.append(following)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _after_quit(self, reply: Reply) -> None:
        self._end(End.GOODBYE)

    def _end(self, end: End, reply: Reply | None = None, detail: str = "") -> None:
        if self.is_over:
            return
        self.is_over = True
        self._out.clear()
        if end in _POLITE_ENDS:
            self._out.append(b"QUIT\r\n")
        transaction, self._transaction = self._transaction, None
        following, self._following = self._following, None
        for each in (transaction, following):
            if isinstance(each, Transaction):
                self._events.append(self._abandoned(each, end, reply, detail))
            elif each is not None:
                self._events.append(each)
        self._events.append(Ended(end, reply, detail))

    def _abandoned(self, transaction: Transaction, end: End, reply: Reply | None, detail: str) -> Finished:
        maybe = transaction.may_have_arrived and reply is None
        unanswered = transaction.abandon(judge_end(end, reply, detail, self._host, maybe))
        untouched = not transaction.is_heard and end in (End.LOST, End.CLOSING)
        elsewhere = () if maybe or end is End.UNREADABLE else unanswered
        return Finished(transaction.outcomes, elsewhere, untouched, self.security)
