"""What was planned a moment ago is not planned again; whatever could make a difference is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from fakes.zones import FakeResolver

from mercury_e.known_ways import LASTS, MOST, KnownWays
from mercury_e.route import EndToEndPlanner
from shared.dns.answers import Found, MxRecord
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

ZONE = {
    "one.example": {"MX": [(10, "mx1.example"), (20, "mx2.example")]},
    "equal.example": {"MX": [(10, "mx1.example"), (10, "mx2.example")]},
    "half.example": {"MX": [(10, "mx1.example"), (20, "gone.example")]},
    "null.example": {"MX": [(0, ".")]},
    "old.example": {"MX": Found((MxRecord(10, "mx1.example"),), 300, stale=True)},
    "mx1.example": {"A": ["192.0.2.1"]},
    "mx2.example": {"A": ["192.0.2.2"]},
}


class Stage:
    """A planner whose clock stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.dns = FakeResolver(ZONE)
        rule = RouteRule(("partner@one.example",), deliver=Delivery.DIRECT, tls=Tls.VERIFY, source="mercury.yaml:7")
        sites = {"branch": Site("branch", (), Delivery.DIRECT)}
        table = RoutingTable("mail.home.example", frozenset(), sites, "branch", (rule,))
        self.planner = EndToEndPlanner(self.dns, table, shuffle=lambda records: None, clock=lambda: self.now)

    def plan(self, *addresses: str, **of_envelope: Any) -> Plan:
        people = tuple(Recipient(parse_address(address)) for address in addresses)
        envelope = replace(Envelope("7Q2M-K4ZC", None, people, 0.0, site="branch"), **of_envelope)
        return asyncio.run(self.planner.plan(envelope, people))

    def asks(self, *addresses: str, **of_envelope: Any) -> bool:
        before = len(self.dns.questions)
        self.plan(*addresses, **of_envelope)
        return len(self.dns.questions) > before


def test_the_next_message_goes_the_same_way_and_asks_nobody() -> None:
    stage = Stage()
    (first,) = stage.plan("anna@one.example").legs
    assert not stage.asks("bert@one.example")
    (second,) = stage.plan("bert@one.example").legs
    assert second == replace(first, recipients=second.recipients)
    assert [str(who.address) for who in second.recipients] == ["bert@one.example"]


def test_only_for_a_moment() -> None:
    stage = Stage()
    stage.plan("anna@one.example")
    stage.now += LASTS
    assert stage.asks("anna@one.example")


@pytest.mark.parametrize("domain", ["equal", "half", "null", "old", "nowhere"])
def test_equals_share_mail_and_trouble_is_looked_at_each_time(domain: str) -> None:
    stage = Stage()
    stage.plan(f"anna@{domain}.example")
    assert stage.asks(f"anna@{domain}.example")


@pytest.mark.parametrize(
    ("address", "of_envelope"),
    [
        ("partner@one.example", {}),
        ("anna@one.example", {"requiretls": True}),
        ("anna@one.example", {"tls_optional": True}),
    ],
)
def test_another_demand_is_another_way(address: str, of_envelope: dict[str, Any]) -> None:
    stage = Stage()
    stage.plan("anna@one.example")
    assert stage.asks(address, **of_envelope)


def test_several_recipients_are_planned_together() -> None:
    stage = Stage()
    stage.plan("anna@one.example")
    assert stage.asks("anna@one.example", "bert@equal.example")


def test_it_does_not_grow_without_end() -> None:
    known = KnownWays(lambda: 0.0)
    leg = Leg("mx.example", (), (NextHop("mx.example"),))
    for number in range(MOST + 10):
        known.note(number, leg, [MxRecord(10, "mx.example")])
    assert len(known._ways) <= MOST and known.find(MOST + 9) is leg and known.find(0) is None
