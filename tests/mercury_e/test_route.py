"""mercury_e/route.py: recipients in, legs and settled outcomes out, with a DNS from a table."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from fakes.zones import FakeResolver

from mercury_e.route import EndToEndPlanner
from shared.dns.answers import Found, MxRecord, Trouble
from shared.mail.address import Address, parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Failed
from shared.routing.leg import Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

ZONE = {
    "one.example": {"MX": [(10, "mx1.host.example"), (20, "mx2.host.example")]},
    "two.example": {"MX": [(20, "mx2.host.example"), (10, "mx1.host.example")]},
    "near.example": {"MX": [(10, "mx1.host.example")]},
    "mx1.host.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "mx2.host.example": {"A": ["192.0.2.2"]},
    "plain.example": {"A": ["192.0.2.3"]},
    "six.example": {"AAAA": ["2001:db8::3"]},
    "bare.example": {},
    "null.example": {"MX": [(0, ".")]},
    "broken.example": Trouble("SERVFAIL"),
    "inside.example": {"MX": [(10, "lan.example")]},
    "lan.example": {"A": ["10.0.0.1"]},
    "backup.example": {"MX": [(10, "mx1.host.example"), (20, "mail.home.example")]},
    "xn--bcher-kva.example": {"MX": [(10, "mx1.host.example")]},
    "alias.example": {"CNAME": "one.example"},
}


def recipient(text: str) -> Recipient:
    return Recipient(parse_address(text))


def unshuffled(records: list[MxRecord]) -> None:
    """Chance, when it leaves everything as it is."""


def planner(zone=ZONE, **options) -> EndToEndPlanner:
    table = RoutingTable(
        "mail.home.example",
        frozenset({"home.example"}),
        {"branch": Site("branch", (), Delivery.DIRECT)},
        "branch",
        (RouteRule(("partner@one.example",), deliver=Delivery.DIRECT, tls=Tls.VERIFY, source="mercury.yaml:7"),),
    )
    return EndToEndPlanner(FakeResolver(zone), table, **{"shuffle": unshuffled, **options})


def plan(*recipients: str | Recipient, zone=ZONE, **options) -> Plan:
    whole = tuple(recipient(one) if isinstance(one, str) else one for one in recipients)
    envelope = Envelope("7Q2M-K4ZC", None, whole, 0.0, site="branch")
    planned = asyncio.run(planner(zone, **options).plan(envelope, whole))
    travelling = [one for leg in planned.legs for one in leg.recipients]
    assert sorted(map(repr, [*travelling, *planned.settled])) == sorted(map(repr, set(whole)))
    return planned


def test_the_hops_are_the_exchangers_with_their_addresses():
    (leg,) = plan("anna@one.example").legs
    assert leg.destination == "mx1.host.example"
    assert leg.recipients == (recipient("anna@one.example"),)
    assert leg.hops == (
        NextHop("mx1.host.example", 25, Tls.OPPORTUNISTIC, addresses=("192.0.2.1", "2001:db8::1")),
        NextHop("mx2.host.example", 25, Tls.OPPORTUNISTIC, addresses=("192.0.2.2",)),
    )
    assert "branch" in leg.reason and "mx2.host.example" in leg.reason


def test_the_port_is_the_one_configured():
    (leg,) = plan("anna@one.example", port=2525).legs
    assert {hop.port for hop in leg.hops} == {2525}


def test_domains_with_the_same_exchangers_share_a_leg():
    people = ["anna@one.example", "bert@two.example", "cleo@one.example", "dora@alias.example"]
    (leg,) = plan(*people).legs
    assert set(leg.recipients) == set(map(recipient, people))


def test_an_exchanger_in_common_is_not_enough_to_share():
    legs = plan("anna@one.example", "bert@near.example").legs
    assert [len(leg.hops) for leg in legs] == [2, 1]
    assert {leg.destination for leg in legs} == {"mx1.host.example"}


def test_a_demand_on_tls_separates_and_is_passed_on():
    legs = plan("anna@one.example", "partner@one.example").legs
    assert [{hop.tls for hop in leg.hops} for leg in legs] == [{Tls.OPPORTUNISTIC}, {Tls.VERIFY}]
    assert "mercury.yaml:7" in legs[1].reason


@pytest.mark.parametrize(
    ("domain", "addresses"), [("plain.example", ("192.0.2.3",)), ("six.example", ("2001:db8::3",))]
)
def test_without_mx_the_domain_is_its_own_exchanger_by_either_family(domain, addresses):
    (leg,) = plan(f"anna@{domain}").legs
    assert leg.destination == domain
    assert [(hop.host, hop.addresses) for hop in leg.hops] == [(domain, addresses)]


@pytest.mark.parametrize(
    ("address", "outcome", "enhanced"),
    [
        ("a@null.example", Failed, "5.1.10"),
        ("a@nowhere.example", Failed, "5.1.2"),
        ("a@bare.example", Failed, "5.4.4"),
        ("a@broken.example", Deferred, "4.4.3"),
        ("a@inside.example", Failed, "5.4.4"),
        ("a@localhost", Failed, "5.1.2"),
        ("a@[127.0.0.1]", Failed, "5.4.4"),
        ("a@[IPv6:::1]", Failed, "5.4.4"),
        ("a@mail.home.example", Failed, "5.4.6"),
    ],
)
def test_who_cannot_go_is_settled(address, outcome, enhanced):
    zone = ZONE | {"mail.home.example": {"A": ["192.0.2.9"]}}
    planned = plan(address, "anna@one.example", zone=zone)
    assert len(planned.legs) == 1
    decision = planned.settled[recipient(address)]
    assert isinstance(decision, outcome)
    assert decision.reply.enhanced == enhanced


def test_a_failure_names_the_domain_of_its_recipient_even_in_a_group():
    zone = {name: {"MX": [(10, "gone.example")]} for name in ("one.example", "two.example")}
    planned = plan("a@one.example", "b@two.example", zone=zone)
    texts = [planned.settled[recipient(who)].reply.text for who in ("a@one.example", "b@two.example")]
    assert "one.example" in texts[0] and "two.example" in texts[1]


def test_as_a_backup_we_go_to_the_better_ones_only():
    (leg,) = plan("anna@backup.example").legs
    assert [hop.host for hop in leg.hops] == ["mx1.host.example"]


def test_another_name_of_ours_and_an_own_address_cut_off_too():
    named = plan("anna@one.example", own_names=("MX1.host.example",))
    addressed = plan("anna@one.example", own_addresses={"2001:db8::1"})
    for planned in (named, addressed):
        outcome = planned.settled[recipient("anna@one.example")]
        assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.4.6"


def test_what_the_operator_allows_is_reached():
    (leg,) = plan("a@inside.example", allowed=(ip_network("10.0.0.0/8"),)).legs
    assert leg.hops[0].addresses == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("literal", "address"), [("[192.0.2.77]", "192.0.2.77"), ("[IPv6:2001:DB8::77]", "2001:db8::77")]
)
def test_an_address_literal_goes_straight(literal, address):
    (leg,) = plan(f"anna@{literal}").legs
    assert [(hop.host, hop.addresses) for hop in leg.hops] == [(address, (address,))]
    assert leg.destination.lower() == literal.lower()


def test_an_internationalized_domain_is_asked_for_in_a_labels():
    (leg,) = plan("anna@bücher.example").legs
    assert leg.destination == "mx1.host.example"


@pytest.mark.parametrize("domain", ["", "\u2488.example"])
def test_a_domain_that_is_none_is_settled_and_not_asked_for(domain):
    broken = Recipient(Address("anna", domain))
    outcome = plan(broken).settled[broken]
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.1.2"


def test_each_question_is_asked_once_for_a_message_to_many():
    asking = planner()
    people = tuple(recipient(f"user{number}@{domain}.example") for number in range(50) for domain in ("one", "two"))
    asyncio.run(asking.plan(Envelope("7Q2M-K4ZC", None, people, 0.0), people))
    questions = asking._resolver.questions
    assert len(questions) == len(set(questions)) == 2 + 4


def test_nobody_to_plan_for_is_an_empty_plan():
    assert plan() == Plan(())


def test_a_set_of_a_thousand_hosts_with_a_thousand_addresses_stays_small():
    """D-03."""
    zone = {"big.example": {"MX": [(number, f"mx{number}.big.example") for number in range(1000)]}}
    zone |= {f"mx{number}.big.example": {"A": [f"192.0.2.{n % 256}" for n in range(1000)]} for number in range(1000)}
    asking = planner(zone)
    person = (recipient("anna@big.example"),)
    (leg,) = asyncio.run(asking.plan(Envelope("7Q2M-K4ZC", None, person, 0.0), person)).legs
    assert len(leg.hops) <= 10
    assert sum(len(hop.addresses) for hop in leg.hops) == 5
    assert len(asking._resolver.questions) == 1 + 2 * 10


def test_an_old_answer_carries_mail_and_sends_none_back():
    zone = {
        "one.example": {"MX": Found((MxRecord(10, "mx.example"),), 300, stale=True)},
        "mx.example": {"A": ["192.0.2.1"]},
        "null.example": {"MX": Found((MxRecord(0, "."),), 300, stale=True)},
    }
    planned = plan("a@one.example", "b@null.example", zone=zone)
    assert planned.legs[0].hops[0].addresses == ("192.0.2.1",)
    assert isinstance(planned.settled[recipient("b@null.example")], Deferred)
