"""What relays demand: budgets, sizes, the account's name, windows; and mailbox servers as next hops."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import send
from deadline import eventually, stays
from dovecot import Dovecot
from mailsite import Site
from peers import FarEnd
from process import free_port
from setting import Stage

SENDER = "bert@hq.example"
FarEnds = Callable[..., tuple[FarEnd, dict[str, Any]]]


@pytest.fixture
def far(stage: Stage, tmp_path: Path) -> FarEnds:
    """A far end that runs, and what a smarthost of that name is in the configuration."""

    def start(address: str, *options: str) -> tuple[FarEnd, dict[str, Any]]:
        peer = FarEnd(tmp_path, free_port(address), (address,), *options)
        stage.peer(peer)
        return peer, {"host": address, "port": peer.port, "tls": "off"}

    return start


def relay(site: Site, *smarthosts: dict[str, Any], **more: Any) -> None:
    site.here.update(smarthosts=list(smarthosts), **more)
    site.write_config()
    site.start("sc")


def post(site: Site, token: str, header: str = "") -> None:
    send(site.port, SENDER, ["x@elsewhere.example"], f"{header}Subject: {token}\r\n\r\nhello\r\n".encode())


def test_a_used_up_budget_leads_to_the_next_and_survives_a_restart(site: Site, far: FarEnds) -> None:
    (first, one), (second, two) = far("127.0.0.21"), far("127.0.0.22")
    relay(site, {**one, "budget": {"messages": ["2/1h", "100/1d"]}}, two)
    for number in range(3):
        post(site, f"token-{number}-.")
        eventually(lambda n=number: first.find(f"token-{n}-.") + second.find(f"token-{n}-."), what="arrival")  # type: ignore[misc]
    assert (first.count(), second.count()) == (2, 1)
    eventually(lambda: len(site.events("recipient-delivered")) == 3, what="three events")
    reason = site.events("recipient-delivered")[-1]["reason"]
    assert f"not 127.0.0.21:{first.port} gets no mail at the moment (the budget of 2 messages in 1h" in reason
    site.stop("c")
    [shown, other] = json.loads(site.mercury("site", "show", "hq", "--json").stdout)["smarthosts"]
    assert shown["health"] == other["health"] == "well" and shown["size"] == 100 << 20
    assert [(limit["used"], limit["limit"], limit["used_up_in"]) for limit in shown["budget"]] == [
        (2, 2, 0), (2, 100, None)
    ]  # fmt: skip
    text = site.mercury("site", "show").stdout
    assert "budget 2 of 2 messages in 1h: used up, some of it is free in" in text
    assert "budget 2 of 100 messages in 1d: lasts at the present pace of" in text
    del site.daemons["c"]
    site.start("c")
    post(site, "token-after-.")
    eventually(lambda: second.find("token-after-."), what="arrival at the second")
    assert first.count() == 2


def test_with_no_other_smarthost_mail_over_the_budget_waits(site: Site, far: FarEnds) -> None:
    peer, one = far("127.0.0.21")
    relay(site, {**one, "budget": {"recipients": ["1/5s"]}})
    for number in range(2):
        post(site, f"token-{number}-.")
    eventually(lambda: site.events("recipient-deferred"), what="a deferral")
    [event] = site.events("recipient-deferred")
    assert event["reply"].startswith("451 4.4.5") and "the budget of 1 recipients in 5s is used up" in event["reason"]
    eventually(lambda: peer.count() == 2, what="the other one, in its turn")


def test_what_the_only_smarthost_would_refuse_is_refused_at_submission(site: Site, far: FarEnds) -> None:
    peer, one = far("127.0.0.21", "--size", "5000")
    relay(site, one)
    post(site, "token-small-.")
    eventually(lambda: peer.find("token-small-."), what="arrival")
    eventually(lambda: (site.root / "state" / "next-hops.json").exists(), what="the book")
    with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example") as client:
        client.ehlo()

        def announced() -> tuple[int, bytes]:
            client.rset()
            client.mail(SENDER, ["SIZE=6000"])
            return client.rcpt("x@elsewhere.example")

        code, text = eventually(lambda: (answer := announced())[0] != 250 and answer, what="a refusal")  # type: ignore[arg-type]
        assert (code, text) == (
            552, b"5.3.4 The message has 6000 octets; the next server on the way to elsewhere.example takes 5000"
        )  # fmt: skip
        assert client.rcpt("anna@hq.example")[0] == 250, "what stays here is no matter of the smarthost's"
        client.rset()
        client.mail(SENDER)
        assert client.rcpt("x@elsewhere.example")[0] == 250
        code, text = client.data(b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 80)
        assert code == 552 and text.startswith(b"5.3.4 The message has")
    assert peer.count() == 1


def test_mail_in_the_name_of_the_account(site: Site, far: FarEnds) -> None:
    peer, one = far("127.0.0.21")
    relay(site, {**one, "address": "office@isp.example"}, rewrite_sender=True)
    message = (
        b'From: "Berg, Bert"\r\n <bert@hq.example>\r\nSubject: token-name-.\r\nX-Odd:kept   as it is\r\n\r\nhello\r\n'
    )
    send(site.port, SENDER, ["x@elsewhere.example"], message)
    [kept] = eventually(lambda: peer.find("token-name-."), what="arrival")
    assert kept.facts["sender"] == "office@isp.example"
    assert kept.content.endswith(
        b'From: "Berg, Bert"\r\n <office@isp.example>\r\nReply-To: "Berg, Bert"\r\n <bert@hq.example>\r\n'
        b"Subject: token-name-.\r\nX-Odd:kept   as it is\r\n\r\nhello\r\n"
    )
    [event] = eventually(lambda: site.events("recipient-delivered"), what="the event")
    assert "in the name of office@isp.example" in event["reason"]


def test_large_mail_goes_at_the_pace_of_the_line(site: Site, far: FarEnds) -> None:
    peer, one = far("127.0.0.21")
    relay(site, {**one, "bandwidth": 200_000})
    began = time.monotonic()
    body = (b"y" * 76 + b"\r\n") * 4000
    send(site.port, SENDER, ["x@elsewhere.example"], b"Subject: token-pace-.\r\n\r\n" + body)
    [kept] = eventually(lambda: peer.find("token-pace-."), what="arrival")
    assert kept.content.endswith(body)
    assert time.monotonic() - began > len(body) / 200_000 - 0.5, "312,000 octets at 200,000 a second"


def test_outside_its_window_a_smarthost_gets_urgent_mail_only(site: Site, far: FarEnds) -> None:
    peer, one = far("127.0.0.21")
    #  Open for an hour that is ten hours away, whatever time it is.
    hour = (time.gmtime().tm_hour + 10) % 24
    site.config["receive"]["priorities"] = True
    site.config["retry"]["lifetime"] = "5d"
    relay(site, {**one, "window": [f"{hour:02d}:00-{hour:02d}:59"]}, time_zone="UTC")
    post(site, "token-usual-.")
    eventually(lambda: site.events("recipient-deferred"), what="a deferral")
    [event] = site.events("recipient-deferred")
    assert "its hours are" in event["reason"] and event["reply"].startswith("451 4.4.5")
    post(site, "token-urgent-.", "X-Priority: 1 (Highest)\r\n")
    eventually(lambda: peer.find("token-urgent-."), what="arrival")
    assert peer.count() == 1 and len(site.entries("relay")) == 1
    [entry] = site.entries("relay")
    #  Its sender is warned after four hours; the window opens after nine.
    assert entry.stat().st_mtime > time.time() + 3.9 * 3600, "it comes again when somebody has to hear of it"
    assert "window" in (shown := site.mercury("site", "show").stdout) and "closed, opens in" in shown


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    dovecot = Dovecot()
    yield dovecot
    dovecot.clear()


def test_a_route_to_a_mailbox_server(site: Site, dovecot: Dovecot) -> None:
    dovecot.add("carla@boxes.example")
    dovecot.start()
    via = {"host": "127.0.0.1", "port": dovecot.lmtp_port, "lmtp": True, "tls": "off"}
    site.config["routes"] = [{"to": ["boxes.example"], "via": via}]
    site.write_config()
    site.start("sc")
    send(
        site.port, SENDER, ["carla@boxes.example", "nobody@boxes.example"], b"Subject: token-lmtp-.\r\n\r\nhello\r\n"
    )
    eventually(lambda: [m for m in dovecot.inbox("carla@boxes.example") if b"token-lmtp-." in m], what="the mail")
    [event] = eventually(lambda: site.events("recipient-failed"), what="the one who is not there")
    assert event["recipient"] == "nobody@boxes.example" and "User doesn't exist" in event["reply"]
    stays(lambda: not site.events("recipient-deferred"), 0.2)
