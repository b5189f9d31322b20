"""mercury_e/dane.py and demand.py: from the TLSA records of a host to what is demanded of it (RFC 7672)."""

from __future__ import annotations

import asyncio

import pytest
from fakes.zones import FakeResolver

from mercury_e.dane import Dane, base_names, read_tlsa, usable
from mercury_e.route import EndToEndPlanner
from shared.dns.answers import Found, NoData, NoSuchName, TlsaRecord, Trouble
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Failed
from shared.routing.leg import Plan
from shared.routing.next_hop import Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

EE = TlsaRecord(3, 1, 1, b"k" * 32)
TA = TlsaRecord(2, 0, 1, b"t" * 32)
PKIX = TlsaRecord(1, 0, 1, b"p" * 32)
PROVED = Found(("192.0.2.1",), 60.0, True)


@pytest.mark.parametrize(
    ("records", "left"),
    [
        ([EE, TA], [EE, TA]),
        ([PKIX, TlsaRecord(0, 1, 1, b"p" * 32)], []),
        ([TlsaRecord(3, 2, 1, b"k" * 32), TlsaRecord(3, 1, 3, b"k" * 32), TlsaRecord(4, 1, 1, b"k" * 32)], []),
        ([TlsaRecord(3, 1, 1, b"k" * 31), TlsaRecord(3, 1, 2, b"k" * 32), TlsaRecord(3, 0, 0, b"")], []),
        ([TlsaRecord(3, 0, 0, b"whole")], [TlsaRecord(3, 0, 0, b"whole")]),
        #  RFC 7671 §9: the weaker digest means nothing beside the stronger of the same kind.
        ([EE, TlsaRecord(3, 1, 2, b"k" * 64), TA], [TlsaRecord(3, 1, 2, b"k" * 64), TA]),
    ],
)
def test_which_records_count(records: list[TlsaRecord], left: list[TlsaRecord]) -> None:
    assert usable(records) == tuple(left)


@pytest.mark.parametrize(
    ("addresses", "alias", "names"),
    [
        (PROVED, None, ("mx.example",)),
        (Found(("192.0.2.1",), 60.0), None, ()),
        (NoData(authenticated=True), None, ()),
        (Found(("192.0.2.1",), 60.0, True, canonical="far.example"), None, ("far.example", "mx.example")),
        (Found(("192.0.2.1",), 60.0, canonical="far.example"), Found(("far.example",), 60.0, True), ("mx.example",)),
        (Found(("192.0.2.1",), 60.0, canonical="far.example"), Found(("far.example",), 60.0), ()),
    ],
)
def test_where_the_records_of_a_host_stand(addresses, alias, names) -> None:
    assert base_names("mx.example", addresses, alias) == names


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (Found((EE,), 60.0, True), Dane("mx.example", (EE,))),
        (Found((PKIX,), 60.0, True), Dane("mx.example", ())),
        (Found((EE,), 60.0), None),
        (NoData(authenticated=True), None),
        (NoSuchName(authenticated=True), None),
        (Trouble("SERVFAIL"), Trouble("SERVFAIL")),
        (NoData(authenticated=True, stale=True), Trouble("only an old answer is known")),
    ],
)
def test_what_an_answer_demands(answer, finding) -> None:
    assert read_tlsa("mx.example", answer) == finding


ZONE = {
    "one.example": {"MX": [(10, "mx1.one.example"), (20, "mx2.one.example")]},
    "mx1.one.example": {"A": ["192.0.2.1"]},
    "mx2.one.example": {"A": ["192.0.2.2"]},
    "_25._tcp.mx1.one.example": {"TLSA": [EE]},
    "two.example": {"MX": [(10, "mx1.one.example"), (20, "mx2.one.example")]},
    "ta.example": {"MX": [(10, "mx.ta.example")]},
    "ta2.example": {"MX": [(10, "mx.ta.example")]},
    "mx.ta.example": {"CNAME": "host.ta.example"},
    "host.ta.example": {"A": ["192.0.2.3"]},
    "_25._tcp.host.ta.example": {"TLSA": [TA]},
}
SIGNED = ("one.example", "ta.example", "ta2.example")


def plan(*to: str, zone=ZONE, signed=SIGNED, rules=(), requiretls=False, tls_optional=False, **options) -> Plan:
    table = RoutingTable("mail.home.example", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq", rules)
    who = tuple(Recipient(parse_address(one)) for one in to)
    envelope = Envelope("ID", None, who, 0.0, site="hq", requiretls=requiretls, tls_optional=tls_optional)
    planner = EndToEndPlanner(FakeResolver(zone, signed), table, shuffle=lambda records: None, **options)
    return asyncio.run(planner.plan(envelope, who))


def demands(planned: Plan) -> list[list[Tls]]:
    return [[hop.tls for hop in leg.hops] for leg in planned.legs]


def test_each_host_is_held_to_its_own_records():
    (leg,) = plan("a@one.example").legs
    first, second = leg.hops
    assert (first.tls, first.trust.associations, first.trust.names) == (Tls.DANE, (EE,), ())
    assert (second.tls, second.trust.associations) == (Tls.OPPORTUNISTIC, ())


def test_an_mx_that_is_not_proved_leads_to_no_dane():
    assert demands(plan("a@two.example")) == [[Tls.OPPORTUNISTIC] * 2]
    #  … and does not share a leg with a domain whose MX is proved.
    assert len(plan("a@one.example", "b@two.example").legs) == 2


def test_a_host_whose_records_cannot_be_looked_up_is_left_out_and_the_others_are_tried():
    zone = {**ZONE, "_25._tcp.mx1.one.example": Trouble("SERVFAIL")}
    (leg,) = plan("a@one.example", zone=zone).legs
    assert [hop.host for hop in leg.hops] == ["mx2.one.example"]
    assert "not mx1.one.example: its TLSA records cannot be looked up: SERVFAIL" in leg.reason


def test_who_is_left_out_is_told_for_each_domain():
    told = []
    zone = {**ZONE, "_25._tcp.mx1.one.example": Trouble("SERVFAIL")}
    plan("a@one.example", "b@one.example", zone=zone, left_out=lambda *about: told.append(about))
    [(domain, host, demand, finding, words)] = told
    assert (domain, host, finding) == ("one.example", "mx1.one.example", Trouble("SERVFAIL"))
    assert demand.is_proved and "cannot be looked up" in words


def test_without_any_host_left_the_mail_waits():
    trouble = Trouble("SERVFAIL")
    zone = {**ZONE, "_25._tcp.mx1.one.example": trouble, "_25._tcp.mx2.one.example": trouble}
    planned = plan("a@one.example", zone=zone)
    (outcome,) = planned.settled.values()
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.7.5" and "mx2.one.example" in outcome.detail


def test_records_that_cannot_be_used_demand_tls_of_whoever_answers():
    zone = {**ZONE, "_25._tcp.mx1.one.example": {"TLSA": [PKIX]}}
    assert demands(plan("a@one.example", zone=zone)) == [[Tls.ENCRYPT, Tls.OPPORTUNISTIC]]


def test_the_base_name_is_where_the_alias_leads_and_the_names_that_count_are_three():
    (leg,) = plan("a@ta.example").legs
    (hop,) = leg.hops
    assert (hop.host, hop.certified_name) == ("mx.ta.example", "host.ta.example")
    assert hop.trust.names == ("mx.ta.example", "ta.example")


def test_where_names_count_each_domain_travels_alone():
    legs = plan("a@ta.example", "b@ta2.example").legs
    assert [leg.hops[0].trust.names[1] for leg in legs] == ["ta.example", "ta2.example"]


def test_tls_required_no_waives_it_but_not_what_a_route_says():
    assert demands(plan("a@one.example", tls_optional=True)) == [[Tls.OPPORTUNISTIC] * 2]
    rule = RouteRule(("one.example",), deliver=Delivery.DIRECT, tls=Tls.VERIFY)
    assert demands(plan("a@one.example", tls_optional=True, rules=(rule,))) == [[Tls.VERIFY] * 2]


def test_requiretls_outweighs_it_and_wants_hosts_that_are_proved():
    assert demands(plan("a@one.example", requiretls=True, tls_optional=True))[0][0] is Tls.DANE
    (outcome,) = plan("a@two.example", requiretls=True).settled.values()
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.7.30"


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (Tls.VERIFY, [Tls.VERIFY] * 2),
        (Tls.OPPORTUNISTIC, [Tls.OPPORTUNISTIC] * 2),
        (Tls.ENCRYPT, [Tls.ENCRYPT] * 2),
        (Tls.OFF, [Tls.OFF] * 2),
        (Tls.DANE, [Tls.DANE]),
    ],
)
def test_a_route_takes_the_place_of_what_is_published(tls: Tls, expected: list[Tls]):
    rule = RouteRule(("one.example",), deliver=Delivery.DIRECT, tls=tls)
    assert demands(plan("a@one.example", rules=(rule,), dane=False)) == [expected]


def test_a_route_that_demands_dane_waits_where_there_is_none():
    rule = RouteRule(("two.example",), deliver=Delivery.DIRECT, tls=Tls.DANE)
    (outcome,) = plan("a@two.example", rules=(rule,)).settled.values()
    assert isinstance(outcome, Deferred) and "a route demands DANE" in outcome.detail


def test_pins_of_a_route_go_with_it():
    rule = RouteRule(("one.example",), deliver=Delivery.DIRECT, tls=Tls.PIN, pins=("pin",))
    (leg,) = plan("a@one.example", rules=(rule,)).legs
    assert {(hop.tls, hop.trust.pins) for hop in leg.hops} == {(Tls.PIN, ("pin",))}


def test_without_dnssec_and_when_it_is_off_nothing_is_asked():
    assert demands(plan("a@one.example", signed=())) == [[Tls.OPPORTUNISTIC] * 2]
    assert demands(plan("a@one.example", dane=False)) == [[Tls.OPPORTUNISTIC] * 2]
