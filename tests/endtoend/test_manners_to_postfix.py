"""MercuryE's manners, shown to a Postfix that wants them: with postgrey before it, and with few connections for each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import postgrey
import pytest
from clients import send
from deadline import eventually
from mailsite import Site
from peers import FarEnd, NameServer
from postgrey import Postgrey
from real_hosts import ADDRESS, RealHost, why_not

SENDER = "bert@hq.example"
MANY = 45
NameServers = Callable[[dict[str, str]], NameServer]
#  One set of mail hosts for all of them.
DOMAINS = ("partner.example", "one.partner.example", "two.partner.example")


@contextmanager
def postfix(far_end: FarEnd, more: str) -> Iterator[RealHost]:
    if reason := why_not("postfix"):
        pytest.skip(reason)
    host = RealHost("postfix", far_end.hop, more=more)
    try:
        yield host.start()
    finally:
        print(host.log()[-6000:])
        host.stop()


@contextmanager
def greylisting_postfix(root: Path, far_end: FarEnd, delay: int, text: str = "") -> Iterator[RealHost]:
    if reason := why_not("postfix") or postgrey.why_not():
        pytest.skip(reason)
    grey = Postgrey(root, delay, text).start()
    try:
        with postfix(far_end, grey.restriction) as host:
            yield host
    finally:
        grey.stop()


def deliver_to(site: Site, host: RealHost, name_servers: NameServers) -> None:
    zone = f"@ MX 10 mx\none MX 10 mx\ntwo MX 10 mx\nmx A {ADDRESS}\n"
    server = name_servers({"partner.example": zone})
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": host.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("se")


def put_off(site: Site) -> float:
    """Seconds until a letter that the greylist has put off comes again."""
    send(site.port, SENDER, ["x@partner.example"], b"Subject: token-grey-.\r\nTo: x@partner.example\r\n\r\n")
    [event] = eventually(lambda: site.events("recipient-deferred"), what="it is put off")
    assert event["reply"].startswith("450 4.2.0") and "Greylisted" in event["reply"], event
    eventually(lambda: site.entries("direct"), what="it is in the queue again")
    [entry] = [json.loads(line) for line in site.mercury("queue", "list", "--json").stdout.splitlines()]
    return float(entry["next_attempt"]) - time.time()


@pytest.mark.proof
def test_postgrey_in_its_own_words_is_recognised_and_takes_what_comes_again(
    site: Site, far_end: FarEnd, tmp_path: Path, name_server: NameServers
) -> None:
    """It does not say how long, so we come after five minutes, which is its default; here an operator is faster."""
    site.config["retry"] = {"first": "1m", "longest": "4h"}
    with greylisting_postfix(tmp_path, far_end, delay=1) as host:
        deliver_to(site, host, name_server)
        assert 240 < put_off(site) <= 310
        again = time.monotonic() + 2
        eventually(lambda: time.monotonic() > again, what="postgrey's second is over")
        done = site.mercury("queue", "retry", "--all", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        eventually(lambda: far_end.find("token-grey-."), what="arrival")
        assert b"X-Greylist: delayed" in far_end.kept()[0].content


@pytest.mark.proof
def test_postgrey_that_names_its_time_has_the_mail_just_after_it(
    site: Site, far_end: FarEnd, tmp_path: Path, name_server: NameServers
) -> None:
    """Nobody helps; by the back-off it would come again after an hour."""
    site.config["retry"] = {"first": "1h", "longest": "4h"}
    with greylisting_postfix(tmp_path, far_end, 5, "Greylisted for %s seconds") as host:
        deliver_to(site, host, name_server)
        assert put_off(site) <= 15
        eventually(lambda: far_end.find("token-grey-."), 60, "arrival by itself")
        assert len(site.events("recipient-deferred")) == 1, "the second try was not too early"


@pytest.mark.proof
def test_who_takes_two_connections_gets_two_and_all_the_mail(
    site: Site, far_end: FarEnd, name_server: NameServers
) -> None:
    """Postfix answers the third with 421. Three domains with the same mail host count together."""
    with postfix(far_end, "smtpd_client_connection_count_limit = 2") as host:
        deliver_to(site, host, name_server)
        for number in range(MANY):
            domain = DOMAINS[number % len(DOMAINS)]
            text = f"Subject: token-{number}-.\r\nTo: x@{domain}\r\n\r\n".encode()
            send(site.port, SENDER, [f"x@{domain}"], text)
        eventually(lambda: far_end.count() == MANY, 60, "all of it")
        eventually(site.is_empty, what="an empty spool")
        turned_away = [event for event in site.events("recipient-deferred") if event["reply"].startswith("421")]
        assert len(turned_away) < MANY / 3, "it has learned how many there may be"
