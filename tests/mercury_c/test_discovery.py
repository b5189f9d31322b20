"""Submission servers in the DNS: which are used, and whose certificate they must show."""

from __future__ import annotations

import asyncio
from typing import Any

from fakes.zones import FakeResolver

from mercury_c.discovery import Discovery
from shared.dns.answers import Found, SrvRecord, Trouble
from shared.routing.next_hop import NextHop, Tls

HOP = NextHop("isp.example", 587, login="office", discover=True)


def servers(zone: dict[str, Any], hop: NextHop = HOP) -> tuple[NextHop, ...]:
    return asyncio.run(Discovery(FakeResolver(zone)).servers(hop))


def test_the_encrypted_service_comes_before_the_other() -> None:
    zone = {
        "_submissions._tcp.isp.example": {"SRV": [(10, 3, 4650, "smtp.isp.example")]},
        "_submission._tcp.isp.example": {"SRV": [(10, 3, 5870, "smtp.isp.example")]},
    }
    [hop] = servers(zone)
    assert (hop.host, hop.port, hop.implicit_tls, hop.priority, hop.weight) == ("smtp.isp.example", 4650, True, 10, 3)
    assert (hop.login, hop.tls, hop.certified_name, hop.discover) == ("office", Tls.VERIFY, "", False)
    zone["_submissions._tcp.isp.example"] = {"SRV": [(0, 0, 0, ".")]}
    [hop] = servers(zone)
    assert (hop.port, hop.implicit_tls) == (5870, False)


def test_a_server_of_another_name_must_be_certified_for_ours() -> None:
    elsewhere = (SrvRecord(1, 1, 465, "smtp.attacker.example"),)
    for answer, name in ((Found(elsewhere, 60.0), "isp.example"), (Found(elsewhere, 60.0, True), "")):
        [hop] = servers({"_submissions._tcp.isp.example": {"SRV": answer}})
        assert (hop.host, hop.certified_name) == ("smtp.attacker.example", name)
    [hop] = servers({"_submissions._tcp.isp.example": {"SRV": [(1, 1, 465, "notisp.example")]}})
    assert hop.certified_name == "isp.example"


def test_without_an_answer_it_is_what_is_written() -> None:
    for zone in ({}, {"_submissions._tcp.isp.example": Trouble("x"), "_submission._tcp.isp.example": Trouble("x")}):
        [hop] = servers(zone)
        assert (hop.host, hop.port, hop.discover) == ("isp.example", 587, False)


def test_only_what_keeps_the_demand_is_asked_for() -> None:
    zone = {
        "_submissions._tcp.isp.example": {"SRV": [(1, 1, 465, "a.isp.example")]},
        "_submission._tcp.isp.example": {"SRV": [(1, 1, 587, "b.isp.example")]},
    }
    [hop] = servers(zone, NextHop("isp.example", 587, Tls.OFF, discover=True))
    assert (hop.host, hop.implicit_tls) == ("b.isp.example", False)
    del zone["_submissions._tcp.isp.example"]
    [hop] = servers(zone, NextHop("isp.example", 465, implicit_tls=True, discover=True))
    assert (hop.host, hop.port) == ("isp.example", 465)


def test_the_same_answer_gives_the_same_hops() -> None:
    """They are what connections are kept by."""
    zone = FakeResolver({"_submissions._tcp.isp.example": {"SRV": [(1, 1, 465, "a.isp.example")]}})
    discovery = Discovery(zone)

    async def twice() -> tuple[NextHop, NextHop]:
        [first] = await discovery.servers(HOP)
        [second] = await discovery.servers(HOP)
        return first, second

    first, second = asyncio.run(twice())
    assert first is second
    zone.zone["_submissions._tcp.isp.example"] = {"SRV": [(1, 1, 465, "b.isp.example")]}
    assert asyncio.run(twice())[0].host == "b.isp.example"
