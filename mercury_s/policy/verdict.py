"""A verdict on what a client asked for: yes, or a reply that says no. `reason` is for the log, never for the peer."""

from __future__ import annotations

from enum import Enum

from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply


class Manner(Enum):
    """How a refusal is made known."""

    REPLY = "the reply is given, and the session goes on"
    CLOSE = "the reply is given, and the connection closed"
    SILENCE = "no reply is given: the connection is closed, a whole message seems taken and is thrown away"


@light
@dataclass(frozen=True, slots=True)
class Accept:
    reason: str = ""


@light
@dataclass(frozen=True, slots=True)
class Refuse:
    reply: Reply
    reason: str
    manner: Manner = Manner.REPLY


Verdict = Accept | Refuse
