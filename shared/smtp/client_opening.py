"""The beginning of a client's conversation: greeting, EHLO or LHLO, STARTTLS, AUTH (RFC 5321 §3.1, 2033, 3207, 4954).

Here: in which order, and under which conditions a password may be sent. What goes wrong here says nothing about any
message, so nothing here ever fails one. Not here: the mail (client.py), the proofs (client_mechanisms.py).
"""

from __future__ import annotations

from shared.mail.reply import Reply
from shared.smtp.client_events import Opened, Opening, Security, StartTls, TlsWanted
from shared.smtp.client_login import ExternalProof, Proof, ProofFailed, decode_challenge, encode_answer
from shared.smtp.client_mechanisms import choose_mechanisms, make_proof
from shared.smtp.client_talk import Talk
from shared.smtp.ehlo import NOTHING_OFFERED, name_in, parse_ehlo
from shared.smtp.judge import End, Step
from shared.smtp.reply_parser import ReplyParser

#  RFC 4954 §4: an initial response that makes the line longer is given to the server's first question instead.
LONGEST_AUTH_LINE = 510


class OpeningTalk(Talk):
    """From the first octet to Opened."""

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening = opening
        self.security: Security | None = None
        self.security_words = opening.why_clear
        self._awaits_tls = opening.is_secure
        self._mechanisms: list[str] = []
        self._binding: bytes | None = None
        self._proof: Proof | None = None
        self._initial: bytes | None = None
        self._after |= {
            Step.GREETING: self._after_greeting,
            Step.EHLO: self._after_ehlo,
            Step.HELO: self._after_helo,
            Step.STARTTLS: self._after_starttls,
            Step.AUTH: self._after_auth,
        }

    @property
    def wants_binding(self) -> bool:
        """There is a password, which can be proved for this TLS connection alone (RFC 9266)."""
        return self._opening.login is not None and bool(self._opening.login.password)

    def secured(self, security: Security | None = None, binding: bytes | None = None) -> None:
        """The TLS handshake is complete. Whatever was known from before it is forgotten (RFC 3207 §4.2). `binding`:
        the exporter value of the connection, where it has one."""
        self._binding = binding
        self.security = security
        self.security_words = str(security) if security else ""
        self._awaits_tls = False
        self.is_secure = True
        self.extensions = NOTHING_OFFERED
        self._parser = ReplyParser()
        self.moves += 1
        if not self._owed:
            self._say_hello()

    def _say_hello(self) -> None:
        self._say(Step.EHLO, f"{'LHLO' if self._opening.lmtp else 'EHLO'} {self._opening.helo}")

    def _after_greeting(self, reply: Reply) -> None:
        if reply.code != 220:
            self._refused(reply)
        elif self._is_ourselves(reply):
            self._end(End.LOOP, None, f"it greets as {name_in(reply)}, which is our own name")
        else:
            self._say_hello()

    def _after_ehlo(self, reply: Reply) -> None:
        if reply.code in (500, 502) and not self._opening.lmtp:
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
            self.security_words = "in clear: TLS is not offered"
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
            self.security_words = f"in clear: STARTTLS was answered with {reply}"
            self._log_in()

    def _log_in(self) -> None:
        login = self._opening.login
        if login is None:
            self._open()
        elif not self.is_secure and not self._opening.login_in_clear:
            self._end(End.NO_TLS, None, "a password is not sent without TLS")
        else:
            self._mechanisms = choose_mechanisms(self.extensions.auth, login, self._binding, self.is_secure)
            self._try_next_mechanism(None)

    def _try_next_mechanism(self, refusal: Reply | None) -> None:
        login = self._opening.login
        assert login is not None
        if not self._mechanisms:
            offered = " ".join(self.extensions.auth)[:200] or "nothing"
            wants = "" if self.is_secure else ", and without TLS a password goes by SCRAM-SHA-256 only"
            self._end(End.LOGIN, refusal, f"it offers {offered} for the login of {login.user}{wants}")
            return
        name = self._mechanisms.pop(0)
        self._proof = make_proof(name, login, self.extensions.auth, self._binding)
        self._initial = self._proof.initial
        line = f"AUTH {name}"
        if self._initial is not None:
            #  "=" alone is the empty initial response (RFC 4954 §4).
            longer = f"{line} {encode_answer(self._initial).decode() or '='}"
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
        elif reply.code == 504 or (isinstance(proof, ExternalProof) and self._mechanisms):
            #  A certificate that is nobody's there counts as no wrong password: there is another way.
            self._try_next_mechanism(reply)
        else:
            self._end(End.LOGIN, reply, proof.complaint)

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
        """A name without a dot is nobody's own (RFC 5321 §2.3.5), so it proves no loop. A mailbox server, which sends
        nothing on, may well stand on this host and have its name."""
        name = name_in(reply)
        return not self._opening.lmtp and "." in name and name == self._opening.helo.lower()

    def _refused(self, reply: Reply) -> None:
        self._end(End.BREACH if reply.is_positive else End.REFUSED, reply)
