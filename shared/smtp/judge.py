"""What a server's reply means for a recipient: the table of RFC 5321 §4.2.1 and its exceptions.

The rule is two words: 4xx comes again, 5xx is returned. The exceptions serve one purpose: that a mistake in our
configuration, or a server that is out of order, never turns into returned mail. How the connection ended matters the
same way: an end is never a refusal of the message.
"""

from __future__ import annotations

from enum import StrEnum

from shared.mail.outcome import Deferred, Delivered, Failed, Feedback, Outcome
from shared.mail.reply import Reply


class Step(StrEnum):
    """What the server owes an answer to."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CHUNK = "BDAT"
    BODY = "end of data"
    QUIT = "QUIT"


class End(StrEnum):
    """Why a conversation is over. The value is for people."""

    GOODBYE = "we said goodbye"
    UNREACHABLE = "cannot be reached"
    REFUSED = "refused to talk to us"
    CLOSING = "closed the conversation"
    NO_TLS = "does not offer the TLS that is demanded"
    TLS = "TLS failed"
    LOGIN = "refused the login"
    LOOP = "is this host itself"
    BREACH = "does not speak SMTP as it should"
    WITHHELD = "gets no mail at the moment"
    LOST = "lost the connection"
    SILENT = "did not answer in time"
    UNREADABLE = "the message cannot be read here"


#  What we say in the server's place when a conversation ends. RFC 3463 §3.5, §3.8 name the conditions.
_REPLIES = {
    End.GOODBYE: (451, "4.4.2"),
    End.UNREACHABLE: (451, "4.4.1"),
    End.REFUSED: (451, "4.3.2"),
    End.CLOSING: (421, "4.4.2"),
    End.NO_TLS: (454, "4.7.4"),
    End.TLS: (454, "4.7.5"),
    End.LOGIN: (454, "4.7.8"),
    End.LOOP: (451, "4.4.6"),
    End.BREACH: (451, "4.5.0"),
    End.WITHHELD: (451, "4.4.5"),
    End.LOST: (451, "4.4.2"),
    End.SILENT: (451, "4.4.2"),
    End.UNREADABLE: (451, "4.3.0"),
}

#  These say nothing of the server; and in these it has said that it does not want us now.
_OUR_DOING = frozenset({End.GOODBYE, End.WITHHELD, End.UNREADABLE})
_TURNED_AWAY = frozenset({End.REFUSED, End.CLOSING})

#  530 (login needed), 534, 535 and 538 (login not good enough), 523 to 525 (TLS or another password needed, account
#  closed) and their enhanced codes speak of us, not of the recipient (RFC 4954 §6, RFC 5248).
_LOGIN_CODES = frozenset({523, 524, 525, 530, 534, 535, 538})
_LOGIN_STATES = frozenset({"5.7.8", "5.7.9", "5.7.10", "5.7.11", "5.7.12", "5.7.13", "5.7.14"})
#  What a smarthost says when it does not know us. No code tells this from a refusal of the recipient.
_STRANGER = (
    "relaying denied", "relay access denied", "relay denied", "relaying not permitted", "relay not permitted",
    "unable to relay", "not permitted to relay", "not allowed to relay", "authentication required",
    "authentication is required", "authenticate first", "must authenticate", "please authenticate", "starttls",
)  # fmt: skip
#  A server that does not know the commands it has just agreed to is out of order; it says nothing about the mail.
_SEQUENCE_CODES = frozenset({500, 502, 503})
#  RFC 1870 §6.1, RFC 3463 §3.4: the message is too large for this recipient or this server, and will stay so.
_TOO_LARGE = frozenset({"5.3.4", "5.2.3"})


def judge_reply(step: Step, reply: Reply, host: str, passes_dsn: bool = False, security: str = "") -> Outcome:
    """The outcome for a recipient whose last word is `reply`, given to `step`. `security`: see Delivered.detail."""
    if reply.is_positive:
        return Delivered(reply, host, security, passes_dsn)
    if reply.is_transient:
        #  Before anybody was named, it is not about them; an unknown domain of the sender's is X.1 (RFC 3463 §3.2).
        is_about_us = step is Step.MAIL and not reply.enhanced.startswith("4.1.")
        return Deferred(reply, host, feedback=Feedback.TURNED_AWAY if is_about_us else None)
    excuse = _excuse(step, reply)
    if excuse is None:
        return Failed(reply, host)
    softened, reason = excuse
    return Deferred(softened, host, reason)


def judge_smarthost(outcome: Outcome) -> Outcome:
    """`outcome` at a server that is there to send on what we give it: that it does not is for the operator to settle.
    From a mail exchanger the same words are about the recipient."""
    if not isinstance(outcome, Failed) or outcome.reply.code == 552:
        return outcome
    text = outcome.reply.text.lower()
    if not any(words in text for words in _STRANGER):
        return outcome
    why = "the smarthost does not relay for us: for the operator to settle, not for the sender"
    return Deferred(_softened(outcome.reply), outcome.host, f"{why}; {outcome.detail}" if outcome.detail else why)


def judge_end(end: End, reply: Reply | None, detail: str, host: str, maybe_delivered: bool = False) -> Deferred:
    """The outcome for recipients that had no answer when the conversation ended."""
    feedback = Feedback.NONE if end in _OUR_DOING else Feedback.BAD
    if reply is not None and end in _TURNED_AWAY:
        feedback = Feedback.TURNED_AWAY
    if reply is not None and reply.is_transient:
        return Deferred(reply, host, detail, maybe_delivered, feedback=feedback)
    code, enhanced = _REPLIES[end]
    #  A 5xx at this stage is about the connection; it is quoted, and not taken for a word about the mail.
    said = f": {reply}" if reply is not None else ""
    who = f"{host} " if host and end is not End.UNREADABLE else ""
    about = f" ({detail})" if detail and not said else ""
    said_for_it = Reply(code, enhanced, f"{who}{end.value}{about}{said}")
    return Deferred(said_for_it, host, detail, maybe_delivered, feedback=feedback)


def is_about_us(reply: Reply) -> bool:
    """Whether it speaks of our login, and not of the mail: on this connection nothing else will be said."""
    return reply.code in _LOGIN_CODES or reply.enhanced in _LOGIN_STATES


def _excuse(step: Step, reply: Reply) -> tuple[Reply, str] | None:
    """What a 5xx is taken for, and why; None when it is taken at its word."""
    if is_about_us(reply):
        return _softened(reply), "the server wants another login: for the operator to settle, not for the sender"
    if reply.code in _SEQUENCE_CODES and step is not Step.RCPT:
        return _softened(reply), f"the server does not follow the protocol at {step}"
    if reply.enhanced == "5.2.2" or "quota" in reply.text.lower():
        return Reply(452, "4.2.2", reply.text), "the mailbox is full, and mailboxes get emptied"
    if reply.code == 552 and step is Step.RCPT and reply.enhanced not in _TOO_LARGE:
        return Reply(452, "4.5.3", reply.text), "552 to RCPT means too many recipients (RFC 5321 section 4.5.3.1.10)"
    return None


def _softened(reply: Reply) -> Reply:
    """The same words as a 4xx."""
    return Reply(reply.code - 100, "4" + reply.enhanced[1:] if reply.enhanced else "", reply.text)
