"""Which recipients travel together, and to whom."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from fakes.zones import FakeResolver

from mercury_c.smarthost import SmarthostPlanner
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

ISP = NextHop("smtp.isp.example", 465, implicit_tls=True, login="office", password_file="/etc/isp", priority=1)
SPARE = NextHop("spare.isp.example", 587, priority=2)
INNER = NextHop("10.0.0.5", 25, Tls.OFF)
TABLE = RoutingTable(
    "mail.hq.example",
    frozenset({"hq.example"}),
    {
        "hq": Site("hq", (ip_network("192.168.1.0/24"),), Delivery.RELAY, (ISP, SPARE)),
        "branch": Site("branch", (ip_network("192.168.2.0/24"),), Delivery.DIRECT),
    },
    "hq",
    (
        RouteRule(("*.inner.example", "inner.example"), via=INNER, source="mercury.yaml:9"),
        RouteRule(("partner.example",), deliver=Delivery.DIRECT, source="mercury.yaml:10"),
    ),
)


def plan(*to: str, site: str = "hq", table: RoutingTable = TABLE) -> Plan:
    recipients = tuple(Recipient(parse_address(name)) for name in to)
    envelope = Envelope("ID", None, recipients, 0.0, site=site)
    return asyncio.run(SmarthostPlanner(table).plan(envelope, recipients))


def names(leg: Leg) -> list[str]:
    return [str(recipient.address) for recipient in leg.recipients]


def test_recipients_of_one_site_share_a_leg_with_its_smarthosts_in_order() -> None:
    [leg] = plan("a@x.example", "b@y.example").legs
    assert names(leg) == ["a@x.example", "b@y.example"]
    assert leg.hops == (ISP, SPARE)
    assert leg.destination == "relay hq" and "hq" in leg.reason


def test_an_exception_has_its_own_leg() -> None:
    relay, inner = plan("a@x.example", "b@inner.example", "c@deep.inner.example").legs
    assert names(relay) == ["a@x.example"]
    assert names(inner) == ["b@inner.example", "c@deep.inner.example"]
    assert inner.hops == (INNER,) and inner.destination == "relay 10.0.0.5:25"
    assert "mercury.yaml:9" in inner.reason


@pytest.mark.parametrize("address", ["a@partner.example", "a@hq.example"])
def test_whoever_no_longer_goes_this_way_waits_for_the_other_lane(address: str) -> None:
    answer = plan("b@x.example", address)
    assert [names(leg) for leg in answer.legs] == [["b@x.example"]]
    [(recipient, outcome)] = answer.settled.items()
    assert str(recipient.address) == address
    assert isinstance(outcome, Deferred) and outcome.retry_after == 0.0


def test_a_site_that_delivers_itself_has_nothing_here() -> None:
    answer = plan("a@x.example", "b@inner.example", site="branch")
    assert [leg.hops for leg in answer.legs] == [(INNER,)]
    assert [str(recipient.address) for recipient in answer.settled] == ["a@x.example"]


def test_smarthosts_of_one_priority_take_turns_and_discovered_ones_take_their_place() -> None:
    equal = (NextHop("a.example", priority=1), NextHop("b.example", priority=1))
    found = NextHop("isp.example", 587, priority=2, discover=True)
    table = RoutingTable("m.example", frozenset(), {"hq": Site("hq", (), Delivery.RELAY, (*equal, found))}, "hq")
    records = [(20, 0, 465, "s2.isp.example"), (10, 0, 465, "s1.isp.example")]
    zone = FakeResolver({"_submissions._tcp.isp.example": {"SRV": records}})
    numbers = iter([0.9, 0.1])
    planner = SmarthostPlanner(table, zone, lambda: next(numbers))
    envelope = Envelope("ID", None, (Recipient(parse_address("a@x.example")),), 0.0, site="hq")

    async def hosts() -> list[str]:
        [leg] = (await planner.plan(envelope, envelope.recipients)).legs
        assert leg.destination == "relay hq"
        return [f"{hop.host}:{hop.port}" for hop in leg.hops]

    async def twice() -> tuple[list[str], list[str]]:
        return await hosts(), await hosts()

    first, second = asyncio.run(twice())
    assert first == ["b.example:25", "a.example:25", "s1.isp.example:465", "s2.isp.example:465"]
    assert second[:2] == ["a.example:25", "b.example:25"]
