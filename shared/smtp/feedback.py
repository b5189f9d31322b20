"""What the outcomes of one message say about how much its server bears at once. Pure.

Words about a single mailbox, and a greylist, say nothing of that. Not here: who counts: over all hosts of a site
shared/delivery/destinations.py, over the connections to one host shared/transport/pool.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.mail.outcome import Deferred, Feedback, Outcome
from shared.smtp.greylist import greylist_wait

#  RFC 3463 §3.2, §3.3: X.1 is about an address, X.2 about a mailbox.
_OF_ONE = ("4.1.", "4.2.")


def feedback_of(outcomes: Iterable[Outcome]) -> Feedback:
    """Of the recipients of one message at one destination. The best word counts: who takes one can take mail."""
    worst = Feedback.NONE
    for outcome in outcomes:
        if type(outcome) is not Deferred:
            return Feedback.GOOD
        feedback = _of_deferred(outcome)
        if feedback is not Feedback.NONE and worst is not Feedback.TURNED_AWAY:
            worst = feedback
    return worst


def _of_deferred(outcome: Deferred) -> Feedback:
    reply = outcome.reply
    if greylist_wait(reply, 1) is not None:
        return Feedback.NONE
    if outcome.feedback is not None:
        return outcome.feedback
    if reply.code == 421:
        return Feedback.TURNED_AWAY
    return Feedback.NONE if reply.enhanced.startswith(_OF_ONE) else Feedback.BAD
