"""A fate: what has become of one recipient, as a report tells it (RFC 3464 §2.3)."""

from __future__ import annotations

from enum import StrEnum

from shared.mail.envelope import Notify, Recipient
from shared.mail.record import dataclass
from shared.mail.reply import Reply


class Action(StrEnum):
    """RFC 3464 §2.3.3, but for "expanded"."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Fate:
    """`reply` is the last answer; `host` (`name[address]:port`) who gave it, empty when it was ourselves.

    `tried_for` is set (in seconds) when time ran out or is running; then `reply` is a temporary answer.
    `maybe_delivered`: a connection was lost after the final dot, so the recipient may have the message after all.
    """

    recipient: Recipient
    action: Action
    reply: Reply
    host: str = ""
    tried_for: float = 0.0
    maybe_delivered: bool = False

    @property
    def status(self) -> str:
        """RFC 3464 §2.3.4: the class says what we make of it, the rest who answered."""
        kind = {Action.FAILED: "5", Action.DELAYED: "4"}.get(self.action, "2")
        if self.action is Action.FAILED and self.tried_for:
            return "5.4.7"
        if self.reply.enhanced:
            return kind + self.reply.enhanced[1:]
        return f"{kind}.0.0"


_WANTED = {
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
    Action.DELIVERED: Notify.SUCCESS,
    Action.RELAYED: Notify.SUCCESS,
}


def is_wanted(fate: Fate) -> bool:
    """Whether the sender asked to hear this (RFC 3461 §4.1). Who asked for nothing hears of failure and delay."""
    notify = fate.recipient.notify or (Notify.FAILURE, Notify.DELAY)
    return Notify.NEVER not in notify and _WANTED[fate.action] in notify
