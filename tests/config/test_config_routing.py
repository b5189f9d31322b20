"""The configuration as the routing table: nothing is lost on the way, and defaults are what they are said to be."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from shared.config.load import parse
from shared.config.routing import routing_table
from shared.mail.address import parse_address
from shared.routing.budget import Budget, Limit, Over, Unit
from shared.routing.decide import decide_route
from shared.routing.hours import parse_span
from shared.routing.lane import Lane
from shared.routing.next_hop import NextHop, Tls, Trust
from shared.routing.site import Delivery
from shared.routing.table import RoutingTable
from shared.routing.terms import NO_TERMS, Terms


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
        NextHop("a.example", 465, Tls.VERIFY, True, "me", "/run/credentials/c/isp", priority=1),
        NextHop("b.example", 587, Tls.VERIFY, priority=2, discover=True),
        NextHop("::1", 25, Tls.OPPORTUNISTIC, priority=3),
    )
    assert (table.sites["branch"].delivery, table.sites["branch"].smarthosts) == (Delivery.DIRECT, ())


def test_a_smarthost_says_its_place_and_its_share() -> None:
    text = """
sites:
  hq:
    delivery: relay
    smarthosts:
      - {host: a.example, port: 587}
      - {host: b.example, port: 587, priority: 1, weight: 3}
      - {host: c.example, port: 587}
      - {host: d.example, port: 587, priority: 1}
"""
    hops = table_of(text).sites["hq"].smarthosts
    assert [(hop.host, hop.priority, hop.weight) for hop in hops] == [
        ("a.example", 1, 1), ("b.example", 1, 3), ("d.example", 1, 1), ("c.example", 3, 1),
    ]  # fmt: skip


def test_what_a_hop_says_of_itself_is_what_is_dialled(tmp_path: Path) -> None:
    for name in ("ca.pem", "own.pem", "own.key"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    pin = "A" * 43 + "="
    text = f"""
sites:
  hq:
    delivery: relay
    smarthosts:
      - host: a.example
        authorities: {tmp_path}/ca.pem
        certificate: {tmp_path}/own.pem
        key: {tmp_path}/own.key
        pins: [sha256/{pin}]
        source_address: [192.0.2.5, "2001:db8::5"]
        helo: out.hq.example
      - {{host: 10.0.0.1, tls: off, port: 25}}
      - {{host: 192.0.3.1, tls: off, in_clear: true, port: 25}}
"""
    first, inside, anywhere = table_of(text).sites["hq"].smarthosts
    assert first.trust == Trust((pin,), f"{tmp_path}/ca.pem", f"{tmp_path}/own.pem", f"{tmp_path}/own.key")
    assert (first.source, first.helo) == (("192.0.2.5", "2001:db8::5"), "out.hq.example")
    assert (inside.inside_only, inside.login_in_clear) == (True, False)
    assert (anywhere.inside_only, anywhere.login_in_clear) == (False, True)
    assert not first.inside_only


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


def test_a_route_to_a_mailbox_server_has_its_protocol_and_its_port() -> None:
    table = table_of("sites: {a: {delivery: hold}}\nroutes: [{to: [x], via: {host: b, lmtp: true}}]")
    via = table.rules[0].via
    assert via is not None and via.lmtp and via.port == 24 and via.terms is NO_TERMS


def test_what_a_smarthost_demands_stands_with_its_hop() -> None:
    table = table_of(
        "sites:\n  a:\n    delivery: relay\n    rewrite_sender: true\n    time_zone: UTC\n    smarthosts:\n"
        "    - {host: b, address: office@isp.example, window: ['22:00-06:00'], bandwidth: 1K, max_recipients: 9,\n"
        "       budget: {messages: [5/1m], recipients: [7/1h], reserve: 10, over: wait}}\n"
        "    - {host: c, address: office@other.example}\n"
    )
    first, second = (hop.terms for hop in table.sites["a"].smarthosts)
    limits = (Limit(Unit.MESSAGES, 5, 60.0), Limit(Unit.RECIPIENTS, 7, 3600.0))
    account = parse_address("office@isp.example")
    window = (parse_span("22:00-06:00"),)
    assert first == Terms(Budget(limits, 10, Over.WAIT), 9, window, ZoneInfo("UTC"), 1024, account)
    assert second == Terms(author=parse_address("office@other.example"))
