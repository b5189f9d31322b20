"""How one attempt ended for one recipient. A closed union: match it to the last case.

`reply` is what the next hop said, or what we say in its place; reports quote it. `host` names who said it
(`name[address]:port`), empty when it was ourselves. `detail` is for the log and the operator only, never for a peer.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply


class Feedback(Enum):
    """What an attempt says of its server, beside the mail. GOOD: it takes or refuses mail. NONE: nothing to learn.
    BAD: it puts mail off, cannot be reached, is silent or breaks off. TURNED_AWAY: it is there, and does not want to
    talk to us now."""

    GOOD = "good"
    NONE = "none"
    BAD = "bad"
    TURNED_AWAY = "turned away"


@light
@dataclass(frozen=True, slots=True)
class Delivered:
    """The next hop has taken responsibility. `passes_dsn`: it will report success itself (RFC 3461 §5.2). `detail`
    says over which kind of connection it went, where that is known."""

    reply: Reply
    host: str = ""
    detail: str = ""
    passes_dsn: bool = False


@light
@dataclass(frozen=True, slots=True)
class Deferred:
    """Try again later. `maybe_delivered`: the connection was lost after the final dot (RFC 1047).

    `retry_after` (seconds) is set when the carrier knows better than the back-off when to come again, `feedback` when
    it knows more of the server than the reply says.
    """

    reply: Reply
    host: str = ""
    detail: str = ""
    maybe_delivered: bool = False
    retry_after: float | None = None
    feedback: Feedback | None = field(default=None, compare=False)


@light
@dataclass(frozen=True, slots=True)
class Failed:
    """It will never work: report it to the sender."""

    reply: Reply
    host: str = ""
    detail: str = ""


Outcome = Delivered | Deferred | Failed
