"""Patterns: what can be written, what they match, and that Unicode and Punycode are the same name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import AddressError, parse_address
from shared.routing.site import Delivery
from shared.routing.table import RouteRule, RoutingTable, parse_pattern, patterns_of


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("*", "*"),
        ("Example.ORG", "example.org"),
        ("*.Example.ORG", "*.example.org"),
        ("Anna@Example.ORG", "anna@example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("x@bücher.example", "x@xn--bcher-kva.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
    ],
)
def test_a_pattern_has_one_form(text: str, pattern: str) -> None:
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "*@example.org", "a.*.org", "**", "*.", ".org", "a b", "*.[192.0.2.1]", "@a.b"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("address", "patterns"),
    [
        ("Anna@a.b.example", ["anna@a.b.example", "a.b.example", "*.b.example", "*.example", "*"]),
        ("x@[192.0.2.1]", ["x@[192.0.2.1]", "[192.0.2.1]", "*"]),
        ("x@host", ["x@host", "host", "*"]),
        ("x@ü.bücher.example", ["x@xn--tda.xn--bcher-kva.example", "xn--tda.xn--bcher-kva.example",
                                "*.xn--bcher-kva.example", "*.example", "*"]),
    ],
)  # fmt: skip
def test_a_recipient_knows_its_patterns(address: str, patterns: list[str]) -> None:
    assert patterns_of(parse_address(address)) == patterns


LABELS = st.lists(st.sampled_from(["a", "b", "ü", "xn--tda", "example"]), min_size=1, max_size=4)


@settings(derandomize=True, max_examples=200)
@given(LABELS, LABELS)
def test_a_star_matches_what_lies_below_and_only_that(recipient: list[str], pattern: list[str]) -> None:
    plain = [label.replace("ü", "xn--tda") for label in recipient], [p.replace("ü", "xn--tda") for p in pattern]
    below = len(plain[0]) > len(plain[1]) and plain[0][-len(plain[1]) :] == plain[1]
    address = parse_address("x@" + ".".join(recipient))
    assert (parse_pattern("*." + ".".join(pattern)) in patterns_of(address)) == below
    assert (parse_pattern(".".join(pattern)) in patterns_of(address)) == (plain[0] == plain[1])


def test_the_first_of_two_rules_for_one_pattern_counts() -> None:
    rules = (RouteRule(("a.example", "b.example"), Delivery.HOLD), RouteRule(("b.example", "*"), Delivery.DIRECT))
    assert RoutingTable("h", frozenset(), rules=rules).first_rule_of == {"a.example": 0, "b.example": 0, "*": 1}


def test_moving_a_rule_within_the_file_does_not_change_it() -> None:
    assert RouteRule(("*",), Delivery.HOLD, source="m:1") == RouteRule(("*",), Delivery.HOLD, source="m:2")
