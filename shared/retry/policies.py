"""Whose mail is tried again by which policy: the house's, or that of the site it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from shared.mail.envelope import Envelope
from shared.mail.record import dataclass
from shared.retry.schedule import RetryPolicy, latest_due, latest_planned


@dataclass(frozen=True, slots=True)
class RetryPolicies:
    """`sites` holds those that differ from `usual`, by the name of the site."""

    usual: RetryPolicy = field(default_factory=RetryPolicy)
    sites: Mapping[str, RetryPolicy] = field(default_factory=dict)

    def of(self, envelope: Envelope) -> RetryPolicy:
        return self.sites.get(envelope.site, self.usual)

    def latest_due(self, now: float) -> float:
        """As schedule.latest_due, whoever's mail it is."""
        return max(latest_due(policy, now) for policy in (self.usual, *self.sites.values()))

    def latest_planned(self, now: float) -> float:
        """As schedule.latest_planned, whoever's mail it is."""
        return max(latest_planned(policy, now) for policy in (self.usual, *self.sites.values()))
