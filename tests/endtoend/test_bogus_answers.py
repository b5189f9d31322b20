"""Answers that DNSSEC disproves, by a real validating resolver: mail waits, and is sent neither in clear nor back. And a
policy page that never comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from peers import NameServer
from process import free_port
from signed_zones import SignedZone, Validator

from mercury_e import policy_page
from mercury_e.policy_page import PageUnusable, PolicyPages
from mercury_e.route import EndToEndPlanner
from shared.dns.hosts import HostsFile
from shared.dns.resolver import Resolver
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred
from shared.routing.leg import Plan
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable

ZONE = """\
good MX 10 mx.good
mx.good A 192.0.2.1
forged MX 10 mx.forged
mx.forged A 192.0.2.2
host MX 10 mx.host
mx.host A 192.0.2.3
half MX 10 mx.host
half MX 20 mx.good
"""
#  What is signed, and what an attacker writes in its place.
FORGERIES = {"MX 10 mx.forged.test.": "MX 10 mx.good.test.", "A 192.0.2.3": "A 203.0.114.3"}


def forged(zone: SignedZone) -> str:
    text = zone.text()
    for said, forgery in FORGERIES.items():
        assert said in text
        text = text.replace(said, forgery)
    return text


def plan(port: int, people: Sequence[Recipient]) -> Plan:
    table = RoutingTable("mail.home.test", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq")
    resolver = Resolver([f"127.0.0.1:{port}"], 10.0, hosts=HostsFile("/nonexistent"))
    return asyncio.run(EndToEndPlanner(resolver, table).plan(Envelope("7Q2M-K4ZC", None, tuple(people), 0.0), people))


def test_an_answer_that_dnssec_disproves_waits(tmp_path: Path) -> None:
    zone = SignedZone("test", ZONE)
    name_server = NameServer(tmp_path, free_port("127.0.0.1"), {"test": forged(zone)})
    validator = Validator(tmp_path, free_port("127.0.0.1"), "test", zone.anchor, name_server.port)
    people = {name: Recipient(parse_address(f"x@{name}.test")) for name in ("good", "forged", "host", "half")}
    name_server.start()
    try:
        planned = plan(validator.start().port, list(people.values()))
    finally:
        validator.stop()
        name_server.stop()
    assert {leg.recipients: [hop.addresses for hop in leg.hops] for leg in planned.legs} == {
        (people["good"],): [("192.0.2.1",)],
        (people["half"],): [("192.0.2.1",)],
    }
    for name in ("forged", "host"):
        outcome = planned.settled[people[name]]
        assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.4.3", outcome
        assert "SERVFAIL" in outcome.detail


def test_a_policy_page_that_never_ends_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy_page.TIMEOUT == 60.0
    pages = PolicyPages(None, None, timeout=0.05)  # type: ignore[arg-type]
    asked: list[str] = []

    async def drip(_domain: str, address: str) -> Any:
        asked.append(address)
        await asyncio.Event().wait()

    monkeypatch.setattr(pages, "_fetch_from", drip)
    with pytest.raises(PageUnusable, match="no answer within"):
        asyncio.run(pages.fetch("partner.test", ["192.0.2.1", "192.0.2.2"]))
    assert asked == ["192.0.2.1"]
