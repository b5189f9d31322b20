"""What the configuration says about the post office becomes what the runner goes by."""

from __future__ import annotations

from pathlib import Path

from shared.config.load import parse
from shared.retry.schedule import RetryPolicy
from shared.service.post_office import retry_policy

SITES = """
site: hq
retry: {first: 10m, lifetime: 3d}
sites:
  hq: {delivery: hold}
  branch: {delivery: hold, retry: {first: 1m, warn_after: 1h}}
"""


def test_a_site_differs_in_what_it_says_and_in_nothing_else() -> None:
    policies = retry_policy(parse(SITES, Path("m.yaml"), lambda: "host.example"))
    assert policies.usual == RetryPolicy(first=600.0, lifetime=3 * 86400.0)
    assert policies.sites == {"branch": RetryPolicy(first=60.0, lifetime=3 * 86400.0, warn_after=3600.0)}


def test_a_longest_wait_below_the_first_cuts_the_first() -> None:
    policies = retry_policy(parse("retry: {longest: 1m}", Path("m.yaml"), lambda: "host.example"))
    assert policies.usual == RetryPolicy(first=60.0, longest=60.0)
