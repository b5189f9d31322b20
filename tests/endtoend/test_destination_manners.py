"""MercuryE keeps to what a destination wants: two domains with the same mail hosts share connections and counts, a message
to many is one transaction, and who greylists us is visited again when it said."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import send
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

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


def direct(site: Site, port: int, name_server: int) -> None:
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server}"]}
    site.config["direct"] = {"port": port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()


def test_many_recipients_of_domains_with_the_same_hosts_are_one_transaction(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    direct(site, far_end.port, name_server(ZONES).port)
    site.start("se")
    people = [f"x{number}@{domain}.example" for number in range(15) for domain in ("one", "two")]
    send(site.port, "bert@hq.example", people, b"Subject: many\r\n\r\n")
    eventually(site.is_empty, what="all are delivered")
    [kept] = far_end.kept()
    assert sorted(kept.facts["recipients"]) == sorted(people)


#  As these programs say it by default.
GREYLISTS = {
    "postgrey": ("450 4.2.0 <x@one.example>: Recipient address rejected: Greylisted, see "
                 "http://postgrey.schweikert.ch/help/x@one.example.html", 310),
    "milter-greylist": ("451 4.7.1 Greylisting in action, please come back in 00:04:00", 250),
}  # fmt: skip


@pytest.mark.parametrize("program", GREYLISTS)
def test_who_greylists_us_is_visited_again_when_it_said(
    program: str, site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    words, wait = GREYLISTS[program]
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES, "--greylist", words)
    stage.peer(far_end)
    site.config["retry"] = {"first": "1m", "longest": "4h"}
    direct(site, far_end.port, name_server(ZONES).port)
    site.start("se")
    send(site.port, "bert@hq.example", ["x@one.example"], b"Subject: grey\r\n\r\n")
    eventually(lambda: site.events("recipient-deferred"), what="it is put off")
    eventually(lambda: site.entries("direct"), what="it is in the queue again")
    [entry] = [json.loads(line) for line in site.mercury("queue", "list", "--json").stdout.splitlines()]
    assert wait - 60 < entry["next_attempt"] - time.time() <= wait + 5, entry
    done = site.mercury("queue", "retry", entry["id"])
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: far_end.count() == 1, what="it takes it the second time")
