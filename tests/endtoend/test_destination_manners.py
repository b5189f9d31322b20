"""MercuryE keeps to what a destination wants: two domains with the same mail hosts share connections and counts."""

from __future__ import annotations

from collections.abc import Callable

from clients import send
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer

MX = "@ MX 10 mx.host.example.\n"
ZONES = {"one.example": MX, "two.example": MX, "host.example": "mx A 127.0.0.21\n"}


def test_domains_with_the_same_mail_hosts_share_a_connection_and_a_rate(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server(ZONES).port}"]}
    site.config["direct"] = {
        "port": far_end.port,
        "allow_addresses": ["127.0.0.0/8"],
        "destinations": [{"hosts": ["*.host.example"], "connections": 1, "rate": "4/1h"}],
    }
    site.write_config()
    for number in range(6):
        domain = ("one", "two")[number % 2]
        site.daemons or site.start("s")
        send(site.port, "bert@hq.example", [f"x@{domain}.example"], f"Subject: token-{number}-.\r\n\r\n".encode())
    site.start("e")
    eventually(lambda: far_end.count() == 4, what="as many as the rate allows")
    stays(lambda: far_end.count() == 4 and len(site.entries("direct")) == 2, 1)
    assert "the budget of 4 messages in 1h is used up" in site.logs()
    assert len({tuple(kept.facts["peer"]) for kept in far_end.kept()}) == 1, "one connection for both domains"
