"""`sites.*.overlay` and `auto`: what they come to in the routing table, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.model import Config
from shared.config.routing import routing_table
from shared.mail.address import parse_address
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.routing.next_hop import Tls

PIN = "pAJ4Cn0xPDGzBTsQZ9P3ajUZPSmaLt8IclVQSbcVHbs="


def config(text: str) -> Config:
    return parse(text, Path("/etc/m.yaml"), lambda: "mail.hq.example")


def offices(here: str, more: str = "") -> str:
    return f"""
site: {here}
local: {{domains: [{here}.example]}}
sites:
  hq: {{delivery: hold, overlay: {{domains: [hq.example], host: 10.1.0.5, pins: ["{PIN}"]}}}}
  lab: {{delivery: direct, overlay: {{domains: [lab.example, bücher.example], host: mx.lab.example, port: 465, pins: ["{PIN}"]}}}}
{more}"""


def test_the_domains_of_the_other_site_go_to_its_server_whatever_the_word_is() -> None:
    table = routing_table(config(offices("hq")))
    for domain in ("lab.example", "bücher.example"):
        route = decide_route(table, parse_address(f"x@{domain}"), "hq")
        [hop] = route.hops
        assert route.lane is Lane.RELAY and "is a domain of site lab" in route.reason
        assert (str(hop), hop.tls, hop.implicit_tls, hop.trust.pins) == ("mx.lab.example:465", Tls.PIN, True, (PIN,))
    assert decide_route(table, parse_address("x@below.lab.example"), "hq").lane is Lane.HOLD
    assert decide_route(table, parse_address("x@hq.example"), "hq").lane is Lane.LOCAL


def test_its_own_overlay_concerns_the_others_only() -> None:
    assert [rule.site for rule in routing_table(config(offices("lab"))).rules] == ["hq"]


def test_routes_come_before_it() -> None:
    table = routing_table(config(offices("hq", "routes: [{to: [lab.example], deliver: hold}]")))
    assert decide_route(table, parse_address("x@lab.example"), "hq").lane is Lane.HOLD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (offices("hq").replace("[hq.example], host", "[lab.example], host"), "is already a domain of site"),
        (offices("hq").replace("[hq.example]}", "[hq.example, lab.example]}"), "it can be in one place only"),
        (offices("hq").replace(f'["{PIN}"]', "[]"), "the list is empty"),
        ("sites: {hq: {delivery: auto}}", "names no 'smarthosts'"),
        ("auto: {hosts: [mx.example]}", "name two or more"),
        ("auto: {hosts: [mx.example, mx.example]}", "name two or more"),
        ("auto: {hosts: ['mx.example:0', b.example]}", "there is no port 0"),
        ("routes: [{to: [a.example], deliver: auto}]", "'auto' is a word for sites"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        config(text)
    assert said in "\n".join(map(str, caught.value.problems))
