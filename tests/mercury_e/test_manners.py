"""What single destinations want: by their best host, for all domains that share the set."""

from __future__ import annotations

import asyncio

import pytest
from fakes.zones import FakeResolver

from mercury_e.manners import Manner, manner_of
from mercury_e.route import EndToEndPlanner
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.budget import Budget, Limit, Over, Unit
from shared.routing.leg import Leg
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable
from shared.routing.terms import NO_TERMS, Terms

SLOW = Terms(Budget((Limit(Unit.MESSAGES, 60, 60.0),), over=Over.WAIT), 20)
ZONE = {
    "one.example": {"MX": [(10, "mx1.host.example"), (10, "mx2.host.example")]},
    "two.example": {"MX": [(10, "mx1.host.example"), (10, "mx2.host.example")]},
    "far.example": {"MX": [(10, "mx.far.example")]},
    "mx1.host.example": {"A": ["192.0.2.1"]},
    "mx2.host.example": {"A": ["192.0.2.2"]},
    "mx.far.example": {"A": ["192.0.2.3"]},
}


def legs(*recipients: str, manners: list[Manner]) -> list[Leg]:
    table = RoutingTable("me.example", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq")
    planner = EndToEndPlanner(FakeResolver(ZONE), table, manners=manners)
    whole = tuple(Recipient(parse_address(one)) for one in recipients)
    envelope = Envelope("7Q2M-K4ZC", None, whole, 0.0, site="hq")
    return list(asyncio.run(planner.plan(envelope, whole)).legs)


@pytest.mark.parametrize(
    ("pattern", "concerned"),
    [
        ("mx.example", True),
        ("*.example", True),
        ("*", True),
        ("*.mx.example", False),
        ("x.example", False),
        ("*.xample", False),
    ],
)
def test_patterns(pattern: str, concerned: bool) -> None:
    assert Manner((pattern,)).concerns("mx.example") is concerned


def test_the_first_that_matches_counts() -> None:
    first, second = Manner(("*.host.example",), 1), Manner(("*",), 2)
    assert manner_of([first, second], "mx1.host.example") is first
    assert manner_of([first, second], "mx.far.example") is second
    assert manner_of([first], "mx.far.example") is None


def test_domains_of_one_set_of_hosts_share_the_leg_the_connections_and_the_count() -> None:
    manner = Manner(("*.host.example",), 3, SLOW)
    shared, other = legs("a@one.example", "b@two.example", "c@far.example", manners=[manner])
    assert len(shared.recipients) == 2 and shared.most == 3
    assert {hop.book_name for hop in shared.hops} == {"destination mx1.host.example"}
    assert all(hop.terms is SLOW for hop in shared.hops)
    assert other.most == 0 and all(hop.terms is NO_TERMS for hop in other.hops)


def test_a_limit_of_connections_alone_leaves_the_hops_as_they_are() -> None:
    [leg] = legs("a@far.example", manners=[Manner(("*",), 2)])
    assert leg.most == 2 and leg.hops[0].book_name == "mx.far.example:25"
