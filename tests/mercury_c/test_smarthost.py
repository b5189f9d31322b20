"""Which recipients travel together, and to whom."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from mercury_c.smarthost import SmarthostPlanner
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

ISP = NextHop("smtp.isp.example", 465, implicit_tls=True, login="office", password_file="/etc/isp")
SPARE = NextHop("spare.isp.example", 587)
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
