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


def three(here: str) -> str:
    """As docs/first-hour-three-offices.md has it: hq has the account, the shop relays by hq."""
    return f"""
site: {here}
local: {{domains: [{here}.example]}}
sites:
  hq:
    networks: [10.1.0.0/16]
    delivery: relay
    smarthosts: [{{host: smtp.isp.example, login: office, password_file: secrets/none}}]
    overlay: {{domains: [hq.example], host: 10.1.0.5, pins: ["{PIN}"]}}
  shop:
    networks: [10.3.0.0/16]
    delivery: relay
    smarthosts: [{{host: 10.1.0.5, port: 25, tls: pin, pins: ["{PIN}"]}}]
    overlay: {{domains: [shop.example], host: 10.3.0.5, pins: ["{PIN}"]}}
"""


def test_the_secrets_of_an_office_need_not_lie_at_the_others() -> None:
    config(three("shop"))
    with pytest.raises(ConfigErrors) as caught:
        config(three("hq"))
    assert "secrets/none' does not exist" in str(caught.value)
    with pytest.raises(ConfigErrors):  # without a host of its own it is served by this one
        config(three("shop").replace(f'overlay: {{domains: [hq.example], host: 10.1.0.5, pins: ["{PIN}"]}}', ""))


def test_nor_those_of_its_accounts() -> None:
    oauth = "oauth: {acc: {preset: microsoft, tenant: t, client_id: c, grant: client, secret_file: secrets/none}}"
    for here, is_wanted in (("shop", False), ("hq", True)):
        text = three(here).replace("password_file: secrets/none", "oauth: acc") + oauth
        if is_wanted:
            with pytest.raises(ConfigErrors, match="secrets/none"):
                config(text)
        else:
            config(text)


def test_mail_of_a_site_that_relays_by_this_host_goes_the_way_of_this_host(tmp_path: Path) -> None:
    """It has arrived at its smarthost: sent there once more it would meet itself."""
    (tmp_path / "none").write_text("sesame\n")
    (tmp_path / "none").chmod(0o600)
    text = three("hq").replace("secrets/none", str(tmp_path / "none"))
    stranger = parse_address("joe@partner.example")
    route = decide_route(routing_table(config(text)), stranger, "shop")
    assert [str(hop) for hop in route.hops] == ["smtp.isp.example:587"] and "it relays by this host" in route.reason
    direct = text.replace("delivery: relay", "delivery: direct", 1)
    assert decide_route(routing_table(config(direct)), stranger, "shop").lane is Lane.DIRECT
    held = text.replace("10.3.0.0/16]\n    delivery: relay", "10.3.0.0/16]\n    delivery: hold")
    assert decide_route(routing_table(config(held)), stranger, "shop").lane is Lane.HOLD
    [hop] = decide_route(routing_table(config(three("shop"))), stranger, "shop").hops
    assert str(hop) == "10.1.0.5:25"


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
