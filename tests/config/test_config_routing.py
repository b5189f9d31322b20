"""The configuration as the routing table: nothing is lost on the way, and defaults are what they are said to be."""

from __future__ import annotations

from pathlib import Path

from shared.config.load import parse
from shared.config.routing import routing_table
from shared.mail.address import parse_address
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery
from shared.routing.table import RoutingTable


def table_of(text: str) -> RoutingTable:
    return routing_table(parse(text, Path("/etc/m.yaml"), lambda: "mail.hq.example"))


FILE = """\
local: {domains: [hq.example]}
site: hq
sites:
  hq:
    networks: [192.168.1.0/24]
    delivery: relay
    smarthosts:
      - {host: a.example, port: 465, login: me, password_file: /run/credentials/c/isp}
      - {host: b.example}
      - {host: "::1", port: 25, tls: opportunistic}
  branch: {delivery: direct}
routes:
  - {to: [partner.example], deliver: direct, tls: verify}
  - {to: ["*.hq.example"], via: {host: 10.0.0.5}}
  - {to: [c.example], via: {host: c.example, port: 465}, tls: verify}
"""


def test_sites_become_sites() -> None:
    table = table_of(FILE)
    assert (table.hostname, table.here, table.local_domains) == ("mail.hq.example", "hq", {"hq.example"})
    assert table.sites["hq"].smarthosts == (
        NextHop("a.example", 465, Tls.VERIFY, True, "me", "/run/credentials/c/isp"),
        NextHop("b.example", 587, Tls.VERIFY),
        NextHop("::1", 25, Tls.OPPORTUNISTIC),
    )
    assert (table.sites["branch"].delivery, table.sites["branch"].smarthosts) == (Delivery.DIRECT, ())


def test_routes_become_rules_that_know_their_line() -> None:
    first, second, third = table_of(FILE).rules
    assert (first.to, first.deliver, first.via, first.tls) == (
        ("partner.example",),
        Delivery.DIRECT,
        None,
        Tls.VERIFY,
    )
    assert (second.via, second.tls) == (NextHop("10.0.0.5", 25, Tls.OPPORTUNISTIC), None)
    assert (third.via, third.tls) == (NextHop("c.example", 465, Tls.VERIFY, True), None)
    assert [rule.source for rule in (first, second, third)] == [f"/etc/m.yaml:{line}" for line in (13, 14, 15)]


def test_the_reason_of_a_route_names_the_line() -> None:
    route = decide_route(table_of(FILE), parse_address("x@a.hq.example"), "branch")
    assert route.reason == "rule /etc/m.yaml:14 for *.hq.example: via 10.0.0.5:25"


def test_nothing_written_is_local_only() -> None:
    table = table_of("")
    assert decide_route(table, parse_address("a@mail.hq.example"), "").lane is Lane.LOCAL
    assert decide_route(table, parse_address("a@elsewhere.example"), "").lane is Lane.HOLD
