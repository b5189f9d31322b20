"""The client's side of SMTP: replies in, bytes out, events out (RFC 5321, 2920, 3030, 3207, 4954, 3461).

A conversation is opened once (greeting, EHLO, STARTTLS, AUTH) and then carries message after message. It keeps a
queue of the answers that the server owes; a reply to nothing in that queue ends it, so that no reply is ever counted
for the wrong recipient. Not here: sockets, clocks and retries (shared/transport), what a reply means (judge.py), the
command lines (errand.py).

Call `receive`, `secured`, `lost`, `expired`, `send` and `quit` as things happen. After each call write `take()`,
handle `events()`, and while `wants_body` write `next_body()` as fast as the connection takes it. `timeout` says how
many seconds the present state may last, counted from the last change of `moves`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.reply import Reply
from shared.smtp.client_events import Ended, Event, Finished, Opened, Opening, StartTls, TlsWanted
from shared.smtp.client_login import PROOFS, Proof, ProofFailed, choose_mechanisms, decode_challenge, encode_answer
from shared.smtp.client_transaction import SMALL, Transaction
from shared.smtp.ehlo import NOTHING_OFFERED, Extensions, name_in, parse_ehlo
from shared.smtp.errand import Errand, plan_errand, unreadable
from shared.smtp.judge import End, Step, judge_end
from shared.smtp.reply_parser import MalformedReply, ReplyParser

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

LONGEST_AUTH_LINE = 510
#  After these the server still listens, and a client that leaves says so.
_POLITE_ENDS = frozenset({End.REFUSED, End.NO_TLS, End.LOGIN, End.LOOP})


class Conversation:
    """`host` names the server in outcomes (`name[address]:port`)."""

    def __init__(self, opening: Opening, host: str = "") -> None:
        self._opening = opening
        self._host = host
        self._parser = ReplyParser()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._owed: deque[Step] = deque([Step.GREETING])
        self._transaction: Transaction | None = None
        self._needs_reset = False
        self._awaits_tls = opening.is_secure
        self._mechanisms: list[str] = []
        self._proof: Proof | None = None
        self._initial: bytes | None = None
        self._after: dict[Step, Callable[[Reply], None]] = {
            Step.GREETING: self._after_greeting,
            Step.EHLO: self._after_ehlo,
            Step.HELO: self._after_helo,
            Step.STARTTLS: self._after_starttls,
            Step.AUTH: self._after_auth,
            Step.RSET: self._after_rset,
            Step.MAIL: self._after_mail,
            Step.RCPT: self._after_rcpt,
            Step.DATA: self._after_data,
            Step.CHUNK: self._after_chunk,
            Step.BODY: self._after_body,
            Step.QUIT: self._after_quit,
        }
        self.extensions: Extensions = NOTHING_OFFERED
        self.is_secure = False
        self.is_open = False
        self.is_over = False
        self.moves = 0

    # -- what the connection reads ---------------------------------------------------------------------------------

    def take(self) -> bytes:
        """What is to be written now."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def is_idle(self) -> bool:
        """Open, and nothing is on its way: `send` may be called."""
        return self.is_open and not self.is_over and self._transaction is None and not self._owed

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

    # -- what the connection tells ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the server."""
        parser = self._parser
        parser.feed(data)
        try:
            while not self.is_over and (reply := parser.next_reply()) is not None:
                self._answered(reply)
        except MalformedReply as error:
            self._end(End.BREACH, None, str(error))

    def secured(self) -> None:
        """The TLS handshake is complete. Whatever was known from before it is forgotten (RFC 3207 §4.2)."""
        self._awaits_tls = False
        self.is_secure = True
        self.extensions = NOTHING_OFFERED
        self._parser = ReplyParser()
        self.moves += 1
        if not self._owed:
            self._say(Step.EHLO, f"EHLO {self._opening.helo}")

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        if self._awaits_tls:
            self._end(End.TLS, None, reason)
        elif self._owed and self._owed[0] is Step.QUIT:
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
        """Hand over one message. Call it only when `is_idle`; a Finished event will answer."""
        if not self.is_idle:
            raise RuntimeError("the conversation is not idle")
        try:
            errand = plan_errand(envelope, recipients, content, self.extensions, self.is_secure)
            if errand.recipients:
                self._begin(errand, content)
            else:
                self._events.append(Finished(errand.settled))
        except OSError as error:
            self._transaction = None
            self._events.append(Finished(dict.fromkeys(recipients, unreadable(error))))

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
        self._owed.append(Step.BODY if is_last else Step.CHUNK)
        return b"BDAT %d%b\r\n%b" % (len(piece), b" LAST" if is_last else b"", piece)

    def quit(self) -> None:
        """Say goodbye. Call it only when `is_idle`."""
        self._say(Step.QUIT, "QUIT")

    # -- opening ---------------------------------------------------------------------------------------------------

    def _after_greeting(self, reply: Reply) -> None:
        if reply.code != 220:
            self._refused(reply)
        elif self._is_ourselves(reply):
            self._end(End.LOOP, None, f"it greets as {name_in(reply)}, which is our own name")
        else:
            self._say(Step.EHLO, f"EHLO {self._opening.helo}")

    def _after_ehlo(self, reply: Reply) -> None:
        if reply.code in (500, 502):
            #  Only "I do not know this command" means a server of RFC 821; any other refusal is a refusal.
            self._say(Step.HELO, f"HELO {self._opening.helo}")
        elif reply.code != 250:
            self._refused(reply)
        elif self._is_ourselves(reply):
            self._end(End.LOOP, None, f"it answers EHLO as {name_in(reply)}, which is our own name")
        else:
            self.extensions = parse_ehlo(reply)
            self._secure_or_log_in()

    def _after_helo(self, reply: Reply) -> None:
        if reply.code != 250:
            self._refused(reply)
        else:
            self._secure_or_log_in()

    def _secure_or_log_in(self) -> None:
        wish = self._opening.starttls
        if self.is_secure or wish is StartTls.NEVER:
            self._log_in()
        elif "STARTTLS" in self.extensions:
            self._say(Step.STARTTLS, "STARTTLS")
        elif wish is StartTls.REQUIRED:
            self._end(End.NO_TLS)
        else:
            self._log_in()

    def _after_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            if not self._parser.is_empty:
                #  Somebody on the way has put words into the server's mouth that would count as said inside TLS.
                self._end(End.BREACH, None, "plain text came behind the answer to STARTTLS")
                return
            self._awaits_tls = True
            self._events.append(TlsWanted())
        elif reply.is_positive:
            self._end(End.BREACH, reply)
        elif self._opening.starttls is StartTls.REQUIRED:
            self._end(End.NO_TLS, reply)
        else:
            self._log_in()

    def _log_in(self) -> None:
        login = self._opening.login
        if login is None:
            self._open()
        elif not self.is_secure and not self._opening.login_in_clear:
            self._end(End.NO_TLS, None, "a password is not sent without TLS")
        else:
            self._mechanisms = choose_mechanisms(self.extensions.auth, login)
            self._try_next_mechanism(None)

    def _try_next_mechanism(self, refusal: Reply | None) -> None:
        login = self._opening.login
        assert login is not None
        if not self._mechanisms:
            offered = " ".join(self.extensions.auth)[:200] or "nothing"
            self._end(End.LOGIN, refusal, f"it offers {offered} for the login of {login.user}")
            return
        name = self._mechanisms.pop(0)
        self._proof = PROOFS[name](login)
        self._initial = self._proof.initial
        line = f"AUTH {name}"
        if self._initial is not None:
            longer = f"{line} {encode_answer(self._initial).decode()}"
            if len(longer) <= LONGEST_AUTH_LINE:
                line, self._initial = longer, None
        self._say(Step.AUTH, line)

    def _after_auth(self, reply: Reply) -> None:
        proof = self._proof
        assert proof is not None
        if reply.code == 334:
            self._answer_challenge(proof, reply)
        elif reply.code == 235:
            if proof.is_convinced:
                self._open()
            else:
                self._end(End.LOGIN, None, "the server did not show that it knows the password")
        elif reply.is_positive:
            self._end(End.BREACH, reply)
        elif reply.code == 504:
            self._try_next_mechanism(reply)
        else:
            self._end(End.LOGIN, reply)

    def _answer_challenge(self, proof: Proof, reply: Reply) -> None:
        answer, self._initial = self._initial, None
        try:
            if answer is None:
                answer = proof.answer(decode_challenge(reply.text))
        except ProofFailed as error:
            self._end(End.LOGIN, None, str(error))
        else:
            self._say(Step.AUTH, encode_answer(answer).decode())

    def _open(self) -> None:
        self._proof = None
        self.is_open = True
        self._events.append(Opened(self.extensions))

    def _is_ourselves(self, reply: Reply) -> bool:
        """A name without a dot is nobody's own (RFC 5321 §2.3.5), so it proves no loop."""
        name = name_in(reply)
        return "." in name and name == self._opening.helo.lower()

    def _refused(self, reply: Reply) -> None:
        self._end(End.BREACH if reply.is_positive else End.REFUSED, reply)

    # -- a message -------------------------------------------------------------------------------------------------

    def _begin(self, errand: Errand, content: Content) -> None:
        """MAIL, every RCPT and DATA in one write where the server takes it so; BDAT with the body in it, too."""
        offer = self.extensions
        chunked = "CHUNKING" in offer
        transaction = Transaction(errand, content, self._host, chunked, "DSN" in offer)
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
            if chunked and content.size <= SMALL:
                body = transaction.whole_body()
                lines += (b"BDAT %d LAST\r\n" % len(body), body)
                steps.append(Step.BODY)
            self._out.append(b"".join(lines))
            self._owed.extend(steps)
        self._needs_reset = False
        self._transaction = transaction
        self.moves += 1
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
            self._owed.append(Step.BODY)

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
        self._go_on()

    def _after_rcpt(self, reply: Reply) -> None:
        transaction = self._in_transaction()
        if 300 <= reply.code < 400:
            self._end(End.BREACH, None, f"it answers RCPT with {reply}")
            return
        transaction.note_recipient(reply)
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
        self._needs_reset = needs_reset
        self._events.append(Finished(self._transaction.outcomes))
        self._transaction = None

    # -- the end ---------------------------------------------------------------------------------------------------

    def _after_quit(self, reply: Reply) -> None:
        self._end(End.GOODBYE)

    def _answered(self, reply: Reply) -> None:
        self.moves += 1
        if self._awaits_tls:
            self._end(End.BREACH, None, "plain text came in place of the TLS handshake")
        elif reply.code == 421 and not (self._owed and self._owed[0] is Step.QUIT):
            #  RFC 5321 §3.8: it may come at any point, and it answers everything that is still owed.
            self._end(End.CLOSING if self.is_open else End.REFUSED, reply)
        elif not self._owed:
            self._end(End.BREACH, None, f"it answers what nobody asked: {reply}")
        else:
            self._after[self._owed.popleft()](reply)

    def _say(self, step: Step, line: str) -> None:
        self._out.append(line.encode() + b"\r\n")
        self._owed.append(step)
        self.moves += 1

    def _end(self, end: End, reply: Reply | None = None, detail: str = "") -> None:
        if self.is_over:
            return
        self.is_over = True
        self._out.clear()
        if end in _POLITE_ENDS:
            self._out.append(b"QUIT\r\n")
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            maybe = transaction.may_have_arrived and reply is None
            unanswered = transaction.abandon(judge_end(end, reply, detail, self._host, maybe))
            untouched = not transaction.is_heard and end in (End.LOST, End.CLOSING)
            elsewhere = () if maybe or end is End.UNREADABLE else unanswered
            self._events.append(Finished(transaction.outcomes, elsewhere, untouched))
        self._events.append(Ended(end, reply, detail))
