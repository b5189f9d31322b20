"""By which names the page is called, where requests may come from, and what every answer forbids the browser."""

from __future__ import annotations

import pytest

from shared.web.gate import HEADERS, POLICY, is_from_elsewhere, is_our_name


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8025", "127.0.0.1:8025", "[::1]:8025", "LocalHost", "mail.hq.example", "mail.hq.example:443",
     "Mail.HQ.Example.", "192.0.2.7:80", "[2001:db8::1]:80"],
)  # fmt: skip
def test_our_names(host: str) -> None:
    assert is_our_name(host, ("mail.hq.example", "192.0.2.7", "2001:db8::1"))


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8025", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example",
     "mail.hq.example/x", "mail.hq.example, evil.example", "localhost:8025:1", "127.0.0.2", "[::2]", "localhost:x", " localhost"],
)  # fmt: skip
def test_foreign_names(host: str | None) -> None:
    assert not is_our_name(host, ("mail.hq.example",))


HOST = "localhost:8025"
OWN = "http://localhost:8025"


@pytest.mark.parametrize(
    ("origin", "site", "is_change", "is_foreign"),
    [
        (OWN, "same-origin", True, False),
        (OWN, None, True, False),
        ("https://LOCALHOST:8025", None, True, False),
        (None, None, False, False),
        (None, "none", False, False),
        (None, None, True, True),  # what changes something says where it comes from
        (None, "same-origin", True, True),
        ("null", None, True, True),
        ("http://evil.example", None, True, True),
        ("http://localhost:8026", None, True, True),
        ("http://localhost", None, True, True),
        ("http://[", None, True, True),
        (OWN, "cross-site", True, True),
        (None, "cross-site", False, True),
        (None, "same-site", False, True),
    ],
)
def test_where_a_request_comes_from(origin: str | None, site: str | None, is_change: bool, is_foreign: bool) -> None:
    assert is_from_elsewhere(HOST, origin, site, is_change) is is_foreign


def test_the_policy_starts_from_nothing() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'" and rules["frame-ancestors"] == "'none'" and rules["base-uri"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src", "img-src", "form-action")} == {
        "'self'"
    }
    assert rules["require-trusted-types-for"] == "'script'" and rules["trusted-types"] == "'none'"
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY
    assert HEADERS["X-Content-Type-Options"] == "nosniff" and HEADERS["Cache-Control"] == "no-store"
