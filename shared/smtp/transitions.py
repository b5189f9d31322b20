"""The table of an SMTP session: which command may come in which state, and where its success leads (RFC 5321 §4.1.4).

What is not in the table is a 503, and `sequence_reply` says what was expected instead.
"""

from __future__ import annotations

from enum import Enum

from shared.mail.reply import Reply
from shared.smtp import replies


class State(Enum):
    """How far the conversation has come."""

    START = "greeted, no EHLO yet"
    READY = "between messages"
    SENDER = "a sender is given"
    RECIPIENTS = "at least one recipient is accepted"
    CHUNKS = "inside a sequence of BDAT"

    #  Each is the only one of its kind. The hash of Enum, a function of Python, would be asked for at each command.
    __hash__ = object.__hash__


#  RFC 5321 §4.1.4: which command may come when, and where its success leads. What is not here is a 503.
NEXT: dict[tuple[State, str], State] = {
    **{(state, verb): State.READY for state in State for verb in ("EHLO", "HELO")},
    **{(state, verb): state for state in State for verb in ("NOOP", "HELP", "VRFY", "EXPN", "QUIT")},
    **{(state, "RSET"): State.READY for state in State},
    (State.START, "RSET"): State.START,
    (State.READY, "MAIL"): State.SENDER,
    (State.SENDER, "RCPT"): State.RECIPIENTS,
    (State.RECIPIENTS, "RCPT"): State.RECIPIENTS,
    (State.RECIPIENTS, "DATA"): State.READY,
    (State.RECIPIENTS, "BDAT"): State.CHUNKS,
    (State.CHUNKS, "BDAT"): State.CHUNKS,
    (State.READY, "STARTTLS"): State.START,
    (State.READY, "AUTH"): State.READY,
    (State.START, "XCLIENT"): State.START,
    (State.READY, "XCLIENT"): State.START,
}

#  Known only where it is offered.
XCLIENT = "XCLIENT"
VERBS = frozenset(verb for _, verb in NEXT) - {XCLIENT}


def sequence_reply(state: State, verb: str, refused_recipients: bool) -> Reply:
    """Why `verb` may not come in `state`, in words that say what may."""
    if state is State.START:
        return replies.HELLO_FIRST
    if state is State.CHUNKS:
        return replies.CHUNKS_BEGUN
    if verb in ("STARTTLS", "AUTH", XCLIENT):
        return replies.FINISH_FIRST
    if verb == "MAIL":
        return replies.MAIL_ALREADY
    if state is State.READY:
        return replies.MAIL_FIRST
    return replies.NO_RECIPIENTS if refused_recipients else replies.RCPT_FIRST
