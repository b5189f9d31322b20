"""Pure: what came of a leg, and what the trail is told of it: why it went by this hop, or why by none.

Not here: what a server's reply means (shared/smtp/judge.py), who asks another hop (handover.py, carrier.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Feedback, Outcome
from shared.mail.reply import Reply
from shared.smtp.client_events import Finished
from shared.smtp.errand import NO_REQUIRETLS
from shared.smtp.judge import End, judge_end, judge_smarthost
from shared.transport.dial import Unreached
from shared.transport.infirmary import words_of
from shared.transport.steward import Withheld


def explained(
    outcomes: Mapping[Recipient, Outcome], reason: str, before: Sequence[Unreached], is_smarthost: bool
) -> Mapping[Recipient, Outcome]:
    """With why it was this hop, unless it went as it should: the first hop, and delivered. `reason` is the route's,
    `before` what was wrong with the hops before it."""
    if not before and all(type(outcome) is Delivered for outcome in outcomes.values()):
        return outcomes
    choice = "; ".join([reason, *(f"not {words_of(trouble)}" for trouble in before)])
    told: dict[Recipient, Outcome] = {}
    for who, outcome in outcomes.items():
        if is_smarthost:
            outcome = judge_smarthost(outcome)
        told[who] = replace(outcome, detail="; ".join(filter(None, (outcome.detail, choice))))
    return told


def told_why(outcomes: Mapping[Recipient, Outcome], reason: str) -> Mapping[Recipient, Outcome]:
    """Also where all went as usual: mail that was changed on its way says so in its trail."""
    return {who: outcome if outcome.detail else replace(outcome, detail=reason) for who, outcome in outcomes.items()}


def too_many(result: Finished) -> list[Recipient]:
    """Those refused only because there were too many in one transaction (RFC 5321 §4.5.3.1.10).

    Only when somebody got the message, so that each further transaction makes progress.
    """
    outcomes = result.outcomes
    refused = [who for who, it in outcomes.items() if isinstance(it, Deferred) and _is_too_many(it.reply)]
    if refused and any(isinstance(outcome, Delivered) for outcome in outcomes.values()):
        return refused
    return []


def _is_too_many(reply: Reply) -> bool:
    return reply.code == 452 and reply.enhanced in ("4.5.3", "")


def counts(outcome: Outcome) -> bool:
    """Whether this recipient is one of those that the hop counts."""
    return isinstance(outcome, Delivered) or (isinstance(outcome, Deferred) and outcome.maybe_delivered)


def lacks_requiretls(outcome: Outcome) -> bool:
    """Nothing was given to this server, and the next one is asked (RFC 8689 §4.2.1)."""
    return isinstance(outcome, Failed) and outcome.reply.enhanced == NO_REQUIRETLS


def complete(
    outcomes: dict[Recipient, Outcome],
    remaining: Sequence[Recipient],
    envelope: Envelope,
    troubles: Sequence[Unreached],
    are_smarthosts: bool,
) -> None:
    """An outcome for those whom no hop has taken. A word that came from a server before it was lost says more than
    that another could not be reached; that a server has no REQUIRETLS says less, as the other may have it."""
    for recipient in remaining:
        known = outcomes.get(recipient)
        if known is None or (lacks_requiretls(known) and troubles and not _lack_tls(troubles)):
            #  At a smarthost it is the operator's fault, and mail is not returned for that.
            if envelope.requiretls and not are_smarthosts and troubles and _lack_tls(troubles):
                outcomes[recipient] = _without_tls(troubles)
            else:
                outcomes[recipient] = _not_carried(troubles)


def _lack_tls(troubles: Sequence[Unreached]) -> bool:
    return all(trouble.ended.end in (End.NO_TLS, End.TLS) for trouble in troubles)


def _without_tls(troubles: Sequence[Unreached]) -> Failed:
    """Every host is there, and none has the TLS that the sender demands: it goes back (RFC 8689 §4.2.1)."""
    last = troubles[-1]
    text = f"The sender demands TLS all the way (REQUIRETLS); {last.host} {last.ended.end.value}: {last.ended.detail}"
    detail = "; ".join(words_of(trouble) for trouble in troubles)
    return Failed(Reply(550, "5.7.10", text.removesuffix(": ")), last.host, detail)


def _not_carried(troubles: Sequence[Unreached]) -> Outcome:
    """No hop could be reached, for these reasons."""
    if not troubles:
        return Deferred(Reply(451, "4.4.4", "There is no next hop to give this message to"))
    last = troubles[-1]
    withheld = [trouble for trouble in troubles if isinstance(trouble, Withheld)]
    if all(trouble.ended.end is End.LOOP for trouble in troubles):
        return Failed(Reply(554, "5.4.6", f"Mail loops back to this host: {last.ended.detail}"), last.host)
    detail = "; ".join(words_of(it) for it in troubles)
    outcome = judge_end(last.ended.end, last.ended.reply, last.ended.detail, last.host)
    if all(trouble.is_remembered for trouble in troubles):
        outcome = replace(outcome, feedback=Feedback.NONE)
    if len(withheld) == len(troubles):
        return replace(outcome, detail=detail, retry_after=min(trouble.seconds for trouble in withheld))
    return replace(outcome, detail=detail)
