"""Where a recipient goes: local, then the rules, then the site; always with a reason that names its source."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address, parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.decide import decide_route, site_of_client, split_by_lane
from shared.routing.lane import Lane
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable

SMARTHOST = NextHop("smtp.isp.example", 465, implicit_tls=True)
INSIDE = NextHop("10.0.0.5", tls=Tls.OPPORTUNISTIC)
HQ = Site("hq", (ip_network("192.168.1.0/24"), ip_network("2001:db8:1::/48")), Delivery.RELAY, (SMARTHOST,))
BRANCH = Site("branch", (ip_network("192.168.2.0/24"),), Delivery.DIRECT)
CLOSED = Site("closed", (), Delivery.HOLD)
RULES = (
    RouteRule(("partner.example",), Delivery.DIRECT, tls=Tls.VERIFY, source="m.yaml:7"),
    RouteRule(("boss@far.example", "*.hq.example"), via=INSIDE, source="m.yaml:8"),
    RouteRule(("far.example",), Delivery.HOLD, source="m.yaml:9"),
    RouteRule(("xn--bcher-kva.example",), Delivery.RELAY, source="m.yaml:10"),
    RouteRule(("[192.0.2.7]",), Delivery.RELAY, source="m.yaml:11"),
)
TABLE = RoutingTable(
    "mail.hq.example",
    frozenset({"hq.example", "xn--mnchen-3ya.example"}),
    {site.name: site for site in (HQ, BRANCH, CLOSED)},
    "hq",
    RULES,
)


@pytest.mark.parametrize(
    ("recipient", "site", "lane", "hops", "reason"),
    [
        ("anna@hq.example", "hq", Lane.LOCAL, (), "hq.example is a local domain"),
        ("anna@HQ.Example", "branch", Lane.LOCAL, (), "hq.example is a local domain"),
        ("anna@münchen.example", "hq", Lane.LOCAL, (), "xn--mnchen-3ya.example is a local domain"),
        ("x@partner.example", "hq", Lane.DIRECT, (), "rule m.yaml:7 for partner.example: direct"),
        ("x@sub.partner.example", "hq", Lane.RELAY, (SMARTHOST,), "site hq: relay"),
        ("x@a.hq.example", "branch", Lane.RELAY, (INSIDE,), "rule m.yaml:8 for *.hq.example: via 10.0.0.5:25"),
        ("x@b.a.hq.example", "hq", Lane.RELAY, (INSIDE,), "rule m.yaml:8 for *.hq.example: via 10.0.0.5:25"),
        ("Boss@far.example", "hq", Lane.RELAY, (INSIDE,), "rule m.yaml:8 for boss@far.example: via 10.0.0.5:25"),
        ("other@far.example", "hq", Lane.HOLD, (), "rule m.yaml:9 for far.example: hold"),
        ("x@BÜCHER.example", "hq", Lane.RELAY, (SMARTHOST,), "rule m.yaml:10 for xn--bcher-kva.example: relay"),
        (
            "x@xn--bcher-kva.example", "branch", Lane.RELAY, (SMARTHOST,),
            "rule m.yaml:10 for xn--bcher-kva.example: relay by the smarthosts of site hq",
        ),
        ("x@[192.0.2.7]", "hq", Lane.RELAY, (SMARTHOST,), "rule m.yaml:11 for [192.0.2.7]: relay"),
        ("x@[192.0.2.8]", "branch", Lane.DIRECT, (), "site branch: direct"),
        ("x@elsewhere.example", "branch", Lane.DIRECT, (), "site branch: direct"),
        ("x@elsewhere.example", "closed", Lane.HOLD, (), "site closed: hold"),
        ("x@elsewhere.example", "", Lane.RELAY, (SMARTHOST,), "site hq: relay"),
        (
            "x@elsewhere.example", "gone", Lane.RELAY, (SMARTHOST,),
            "site hq (there is no site 'gone' any more): relay",
        ),
    ],
)  # fmt: skip
def test_where_it_goes_and_why(recipient: str, site: str, lane: Lane, hops: tuple[NextHop, ...], reason: str) -> None:
    route = decide_route(TABLE, parse_address(recipient), site)
    assert (route.lane, route.hops, route.reason) == (lane, hops, reason)


def test_a_rule_demands_tls_of_a_direct_delivery_and_nothing_else_does() -> None:
    assert decide_route(TABLE, parse_address("x@partner.example"), "hq").tls is Tls.VERIFY
    assert decide_route(TABLE, parse_address("x@elsewhere.example"), "branch").tls is None


def test_the_bare_postmaster_is_ours() -> None:
    assert decide_route(TABLE, Address("postmaster", ""), "hq").lane is Lane.LOCAL


def test_the_first_rule_wins_even_over_a_narrower_one() -> None:
    table = RoutingTable(
        "h.example",
        frozenset(),
        {"hq": HQ},
        "hq",
        (RouteRule(("*",), Delivery.HOLD, source="m:1"), RouteRule(("a@b.example",), Delivery.DIRECT, source="m:2")),
    )
    assert decide_route(table, parse_address("a@b.example"), "hq").reason == "rule m:1 for *: hold"


def test_a_rule_that_only_asks_for_tls_leaves_the_way_to_the_site() -> None:
    table = RoutingTable(
        "h.example", frozenset(), {"branch": BRANCH}, "branch", (RouteRule(("*",), tls=Tls.VERIFY, source="m:1"),)
    )
    route = decide_route(table, parse_address("a@b.example"), "branch")
    assert (route.lane, route.tls, route.reason) == (Lane.DIRECT, Tls.VERIFY, "rule m:1 for *: site branch: direct")


def test_without_a_site_mail_for_others_is_held_not_lost() -> None:
    route = decide_route(RoutingTable("h.example", frozenset()), parse_address("a@b.example"), "")
    assert route.lane is Lane.HOLD
    assert "no site" in route.reason


def test_relay_without_any_smarthost_is_held() -> None:
    rule = RouteRule(("*",), Delivery.RELAY, source="m:1")
    table = RoutingTable("h.example", frozenset(), {"branch": BRANCH}, "branch", (rule,))
    route = decide_route(table, parse_address("a@b.example"), "branch")
    assert route.lane is Lane.HOLD
    assert "no smarthost" in route.reason


def test_changing_the_word_of_a_site_moves_its_mail() -> None:
    stranger = parse_address("a@b.example")
    for word, lane in (
        (Delivery.RELAY, Lane.RELAY),
        (Delivery.DIRECT, Lane.DIRECT),
        (Delivery.HOLD, Lane.HOLD),
    ):
        table = RoutingTable("h.example", frozenset(), {"hq": Site("hq", (), word, (SMARTHOST,))}, "hq")
        assert decide_route(table, stranger, "hq").lane is lane


@pytest.mark.parametrize(
    ("client", "site"),
    [
        ("192.168.1.9", HQ),
        ("192.168.2.255", BRANCH),
        ("::ffff:192.168.2.1", BRANCH),
        ("2001:db8:1:2::3", HQ),
        ("192.168.3.1", None),
        ("2001:db8:2::1", None),
        ("fe80::1%eth0", None),
        ("", None),
        ("/run/mercury/lmtp", None),
    ],
)
def test_a_client_belongs_to_the_site_of_its_network(client: str, site: Site | None) -> None:
    assert site_of_client(TABLE, client) == site


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_host_is_of_its_own_site_whichever_has_the_loopback_network(client: str) -> None:
    """One file at all offices can name it only once."""
    networks = (ip_network("127.0.0.0/8"), ip_network("::1"))
    hq = Site("hq", networks, Delivery.HOLD)
    for here, site in (("hq", hq), ("branch", BRANCH)):
        assert (
            site_of_client(RoutingTable("h.example", frozenset(), {"hq": hq, "branch": BRANCH}, here), client) == site
        )
    assert site_of_client(RoutingTable("h.example", frozenset(), {"branch": BRANCH}, "branch"), client) is None


DOMAINS = st.sampled_from(
    ["hq.example", "a.hq.example", "partner.example", "far.example", "x.example", "bücher.example", "[192.0.2.7]"]
)
RECIPIENTS = st.builds(lambda local, domain: Recipient(Address(local, domain)), st.sampled_from("abc"), DOMAINS)


@settings(derandomize=True, max_examples=200)
@given(st.lists(RECIPIENTS, unique=True), st.sampled_from(["hq", "branch", "closed", "gone", ""]))
def test_splitting_puts_every_recipient_into_the_lane_of_its_route(recipients: list[Recipient], site: str) -> None:
    split = split_by_lane(TABLE, Envelope("7Q2M-K4ZC", None, tuple(recipients), 0.0, site))
    assert sorted((r for lane in split.values() for r in lane), key=repr) == sorted(recipients, key=repr)
    for lane, members in split.items():
        assert members, "a lane without recipients"
        assert list(members) == [r for r in recipients if r in members], "their order is kept"
        assert all(decide_route(TABLE, r.address, site).lane is lane for r in members)


@settings(derandomize=True, max_examples=200)
@given(RECIPIENTS, st.permutations(RULES), st.sampled_from(["hq", "branch", "closed", "gone", ""]))
def test_a_relayed_recipient_has_a_hop_and_every_route_a_reason(
    recipient: Recipient, rules: list[RouteRule], site: str
) -> None:
    table = RoutingTable(TABLE.hostname, TABLE.local_domains, TABLE.sites, TABLE.here, tuple(rules))
    route = decide_route(table, recipient.address, site)
    assert bool(route.hops) == (route.lane is Lane.RELAY)
    assert route.reason
