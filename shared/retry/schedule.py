"""When an entry is tried again, when its sender is warned, and when it is given up (RFC 5321 §4.5.4.1).

Pure arithmetic on times that are handed in. Not here: what waits and in which order (shared/spool/schedule.py), or
what a sender is told (shared/dsn).
"""

from __future__ import annotations

from shared.mail.envelope import Envelope
from shared.mail.record import dataclass

#  The waits scatter by a quarter to each side, so that what failed together does not come back together.
JITTER = 0.25
#  Carriers may ask to be left alone for longer than the longest back-off (a quota that comes back tomorrow).
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """All in seconds, but for `factor`. Messages from the null sender live for `bounce_lifetime`."""

    first: float = 300.0
    factor: float = 2.0
    longest: float = 14400.0
    lifetime: float = 432000.0
    bounce_lifetime: float = 86400.0
    warn_after: float = 14400.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest:
            raise ValueError("the first wait must be above zero and not above the longest")
        if self.factor < 1:
            raise ValueError("the waits must not shrink: factor is below 1")
        if min(self.lifetime, self.bounce_lifetime, self.warn_after) <= 0:
            raise ValueError("a lifetime must be above zero")

    def lifetime_of(self, envelope: Envelope) -> float:
        return self.bounce_lifetime if envelope.sender is None else self.lifetime


def backoff(policy: RetryPolicy, attempts: int) -> float:
    """The wait after attempt number `attempts` (from 1), before it is scattered."""
    try:
        return min(policy.first * policy.factor ** max(attempts - 1, 0), policy.longest)
    except OverflowError:
        return policy.longest


def planned_wait(policy: RetryPolicy, attempts: int, enough: float) -> float:
    """How long the waits between `attempts` attempts add up to; counting stops at `enough`."""
    waited = 0.0
    for attempt in range(1, attempts):
        wait = backoff(policy, attempt)
        waited += wait
        if waited >= enough:
            break
        if wait >= policy.longest:
            return waited + wait * (attempts - 1 - attempt)
    return waited


def is_expired(policy: RetryPolicy, envelope: Envelope, attempts: int, now: float) -> bool:
    """Whether the entry has been tried for as long as it may live, `attempts` attempts having been made.

    The age alone does not decide: a clock that jumps, or a host that was off for a week, would bounce a whole queue
    that was hardly tried. Half of the lifetime's planned waits must have passed too. And if the clock says that the
    message arrives in the future, the attempts alone decide.
    """
    lifetime = policy.lifetime_of(envelope)
    age = now - envelope.arrived
    if age < 0:
        return planned_wait(policy, attempts, lifetime) >= lifetime
    return age >= lifetime and planned_wait(policy, attempts, lifetime) >= lifetime / 2


def next_attempt(policy: RetryPolicy, envelope: Envelope, attempts: int, now: float, chance: float) -> float | None:
    """When to try again after `attempts` attempts have been made (at least one), or None: it is time to give up.

    `chance` in [0, 1) scatters the wait. One attempt falls on the moment of the warning and the last on the end of
    the lifetime, not behind them, so that the sender hears of it when the configuration says so.
    """
    if is_expired(policy, envelope, attempts, now):
        return None
    wait = backoff(policy, attempts) * (1 - JITTER + 2 * JITTER * chance)
    if now >= envelope.arrived:
        for span in sorted((policy.warn_after, policy.lifetime_of(envelope))):
            if now < envelope.arrived + span < now + wait:
                return envelope.arrived + span
    return now + wait


def should_warn(policy: RetryPolicy, envelope: Envelope, attempts: int, now: float, waited: float = 0.0) -> bool:
    """Whether the sender should hear that the message is late. Whether it has heard already, the trail knows.

    As with the lifetime, a jump of the clock alone is no delay; `waited`, the wait that was set before this attempt,
    is one: a carrier may have asked for longer than the back-off.
    """
    if envelope.sender is None or now - envelope.arrived < policy.warn_after:
        return False
    return max(waited, planned_wait(policy, attempts, policy.warn_after)) >= policy.warn_after / 2


def latest_planned(policy: RetryPolicy, now: float) -> float:
    """No next attempt that we plan ourselves lies behind this; one that a carrier asked for may."""
    return now + policy.longest * (1 + JITTER)


def latest_due(policy: RetryPolicy, now: float) -> float:
    """No next attempt lies behind this. A later one in the spool was written while the clock ran ahead."""
    return max(latest_planned(policy, now), now + DAY)
