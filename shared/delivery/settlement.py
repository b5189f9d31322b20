"""Pure: what the outcomes of one attempt mean for an entry. What is then done about it, and in which order, is in
settle.py; what the sender reads, in shared/dsn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from shared.dsn.fate import Action, Fate
from shared.dsn.human import USUAL, words_in
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.retry.schedule import RetryPolicy, next_attempt, should_warn
from shared.smtp.greylist import greylist_wait

#  In the trail's detail of a deferred attempt that ended behind the final dot (RFC 1047).
MAYBE_DELIVERED = "may have been delivered"


@dataclass(frozen=True, slots=True)
class Settlement:
    """`when` is the next attempt, None when no recipient is left. `late`: who is reported as delayed."""

    outcomes: Mapping[Recipient, Outcome]
    failed: tuple[Fate, ...] = ()
    succeeded: tuple[Fate, ...] = ()
    late: tuple[Fate, ...] = ()
    is_expired: bool = False
    when: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What the trail says about earlier attempts. `waited`: seconds from the last one to when this one was due."""

    attempts: int = 0
    waited: float = 0.0
    is_warned: bool = False
    maybe_delivered: frozenset[str] = frozenset()


def is_plain_success(outcomes: Mapping[Recipient, Outcome]) -> bool:
    """Everything delivered and nobody wants to hear of it: nothing to decide, the entry can go."""
    for recipient, outcome in outcomes.items():
        if type(outcome) is not Delivered or (recipient.notify and Notify.SUCCESS in recipient.notify):
            return False
    return True


def decide_settlement(
    policy: RetryPolicy,
    envelope: Envelope,
    outcomes: Mapping[Recipient, Outcome],
    history: History,
    now: float,
    chance: float,
    is_final: bool,
) -> Settlement:
    """`is_final`: this lane delivers into mailboxes (a success is "delivered" and not "relayed")."""
    attempts = history.attempts + 1
    deferred = {who: outcome for who, outcome in outcomes.items() if isinstance(outcome, Deferred)}
    when = next_attempt(policy, envelope, attempts, now, chance) if deferred else None
    if deferred and when is not None:
        ends = max(envelope.arrived + policy.lifetime_of(envelope), when)
        when = min(_earliest(deferred.values(), when, now, attempts), ends)
        late_at = envelope.arrived + policy.warn_after
        if envelope.sender is not None and not history.is_warned and envelope.arrived <= now < late_at < when:
            when = late_at
    late = bool(deferred) and when is not None and not history.is_warned
    late = late and should_warn(policy, envelope, attempts, now, history.waited)
    is_expired = bool(deferred) and when is None
    span = max(now - envelope.arrived, 1.0)
    failed, succeeded, delayed = [], [], []
    told: dict[Recipient, Outcome] = {}
    for recipient, outcome in outcomes.items():
        told[recipient] = outcome
        perhaps = str(recipient.address) in history.maybe_delivered
        match outcome:
            case Delivered():
                if not outcome.passes_dsn:
                    succeeded.append(_delivered(recipient, outcome, is_final))
            case Failed():
                failed.append(Fate(recipient, Action.FAILED, outcome.reply, outcome.host, 0.0, perhaps))
            case Deferred() if is_expired:
                told[recipient] = _expired(outcome, span)
                perhaps = perhaps or outcome.maybe_delivered
                failed.append(Fate(recipient, Action.FAILED, outcome.reply, outcome.host, span, perhaps))
            case Deferred():
                if late:
                    delayed.append(Fate(recipient, Action.DELAYED, outcome.reply, outcome.host, span, perhaps))
            case _:
                assert_never(outcome)
    return Settlement(told, tuple(failed), tuple(succeeded), tuple(delayed), is_expired, when)


def _delivered(recipient: Recipient, outcome: Delivered, is_final: bool) -> Fate:
    return Fate(recipient, Action.DELIVERED if is_final else Action.RELAYED, outcome.reply, outcome.host)


def _expired(last: Deferred, span: float) -> Failed:
    reply = Reply(554, "5.4.7", f"gave up after {words_in(USUAL).span(span)}; last answer: {last.reply}")
    return Failed(reply, last.host, last.detail)


def _earliest(deferred: Iterable[Deferred], backoff: float, now: float, attempts: int) -> float:
    """The entry comes again when the first of its recipients may."""
    return min(_due(each, backoff, now, attempts) for each in deferred)


def _due(deferred: Deferred, backoff: float, now: float, attempts: int) -> float:
    """As its carrier says, or its server's greylist, or the back-off."""
    if deferred.retry_after is not None:
        return now + max(deferred.retry_after, 0.0)
    wait = greylist_wait(deferred.reply, attempts) if deferred.host else None
    return backoff if wait is None else now + wait
