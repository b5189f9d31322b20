"""Mail of a site with a schedule of its own is tried by that, all other mail by the house's."""

from __future__ import annotations

from shared.mail.address import parse_address
from shared.mail.envelope import Envelope
from shared.retry.policies import RetryPolicies
from shared.retry.schedule import DAY, RetryPolicy

BRANCH = RetryPolicy(first=60.0, longest=10 * DAY)
POLICIES = RetryPolicies(RetryPolicy(), {"branch": BRANCH})


def letter(site: str) -> Envelope:
    return Envelope("TEST-0001", parse_address("anna@hq.example"), (), 0.0, site=site)


def test_each_site_has_its_own() -> None:
    assert POLICIES.of(letter("branch")) is BRANCH
    assert POLICIES.of(letter("hq")) == POLICIES.of(letter("")) == RetryPolicy()


def test_the_longest_wait_of_all_is_the_latest_time_that_can_be() -> None:
    assert POLICIES.latest_due(0.0) == 12.5 * DAY
    assert RetryPolicies().latest_due(5.0) == DAY + 5.0
