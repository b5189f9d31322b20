"""Reports about mail that could not be delivered: one, to the sender, about the right message, and no more."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from clients import Raw, send
from deadline import eventually, stays
from mailsite import NOBODY, Site
from peers import FarEnd, NameServer
from process import free_port
from setting import Stage


def reports(site: Site, user: str) -> list[EmailMessage]:
    """The RFC 3462 reports in a mailbox, as Python's parser reads them."""
    messages = [email.message_from_bytes(m, policy=email.policy.default) for m in site.mailbox(user)]
    return [m for m in messages if isinstance(m, EmailMessage) and m.get_content_type() == "multipart/report"]


def status(report: EmailMessage) -> list[EmailMessage]:
    """The groups of fields of the message/delivery-status part: first the message's, then one for each recipient."""
    assert report.get_param("report-type") == "delivery-status"
    parts = list(report.iter_parts())
    assert parts[0].get_content_type().startswith("text/")
    assert parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    groups = parts[1].get_payload()
    assert isinstance(groups, list)
    return [group for group in groups if group.items()]  # type: ignore[misc]


def queue_id(said: str) -> str:
    """What follows 'as' in '250 2.0.0 ... as 7Q2M-K4ZC', wherever it stands in the reply."""
    words = [word.strip(".,;()") for word in said.split()]
    return next(word for word in words if len(word) == 9 and word[4] == "-")


def submitted(site: Site, sender: str, recipient: str, token: str) -> str:
    with Raw(site.port) as raw:
        raw.say("EHLO client.example")
        assert raw.say(f"MAIL FROM:<{sender}>").startswith("250")
        assert raw.say(f"RCPT TO:<{recipient}>").startswith("250")
        raw.say("DATA")
        raw.send(f"Subject: {token}\r\nMessage-ID: <{token}@hq.example>\r\n\r\nhello\r\n.\r\n".encode())
        return queue_id(raw.reply())


@pytest.fixture
def relaying(site: Site, far_end: FarEnd) -> Site:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    return site


def test_a_refused_recipient_comes_back_to_the_sender(relaying: Site, far_end: FarEnd) -> None:
    cause = submitted(relaying, "anna@hq.example", "refused@elsewhere.example", "token-refused-.")
    eventually(lambda: reports(relaying, "anna"), what="a bounce in anna's mailbox")
    [report] = reports(relaying, "anna")
    about_message, about_recipient = status(report)
    assert about_message["Reporting-MTA"] == "dns; mail.hq.example"
    assert "refused@elsewhere.example" in about_recipient["Final-Recipient"]
    assert about_recipient["Action"] == "failed"
    assert about_recipient["Status"] == "5.1.1"
    assert "no mailbox of that name here" in about_recipient["Diagnostic-Code"]
    assert cause in report.as_string(), "the queue id of its cause"
    assert "token-refused-." in report.as_string(), "the head of its cause"
    raw = next(m for m in relaying.mailbox("anna") if b"multipart/report" in m)
    assert raw.startswith(b"Return-Path: <>\n")
    eventually(relaying.is_empty)
    assert far_end.count() == 0


def test_only_the_refused_recipient_is_reported(relaying: Site, far_end: FarEnd) -> None:
    send(
        relaying.port, "anna@hq.example", ["fine@elsewhere.example", "refused@elsewhere.example"],
        b"Subject: token-mixed-.\r\n\r\n",
    )  # fmt: skip
    eventually(lambda: reports(relaying, "anna"), what="a bounce")
    [report] = reports(relaying, "anna")
    assert len(status(report)) == 2
    assert "fine@elsewhere.example" not in str(status(report)[1])
    [kept] = far_end.find("token-mixed-.")
    assert kept.facts["recipients"] == ["fine@elsewhere.example"]


def test_an_address_that_the_far_end_cannot_name_comes_back(site: Site, stage: Stage, tmp_path: Path) -> None:
    """SMTPUTF8 is asked for and not offered: nobody may guess another spelling (RFC 6531 §3.2)."""
    old = FarEnd(tmp_path, free_port("127.0.0.1"), ("127.0.0.1",), "--no-utf8")
    stage.peer(old)
    site.relay_to(old.hop)
    site.write_config()
    site.start("sc")
    send(
        site.port, "anna@hq.example", ["jürgen@elsewhere.example"], b"Subject: token-umlaut-.\r\n\r\n",
        ("SMTPUTF8", "BODY=8BITMIME"),
    )  # fmt: skip
    eventually(lambda: reports(site, "anna"), what="a bounce")
    assert status(reports(site, "anna")[0])[1]["Status"] == "5.6.7"
    assert "jürgen@elsewhere.example" in next(reports(site, "anna")[0].iter_parts()).get_content()
    assert old.count() == 0


def test_mail_of_the_null_sender_is_held_where_that_is_said(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.config["reports"] = {"double_bounces": "hold"}
    site.write_config()
    site.start("sc")
    cause = submitted(site, "", "refused@elsewhere.example", "token-null-.")
    eventually(lambda: site.entries("hold"), what="it is held")
    site.stop("s")
    site.start("s")
    stays(lambda: bool(site.entries("hold")) and not site.mailbox("anna"), 1, "nobody lets it go but an operator")
    assert site.mercury("queue", "remove", cause, "--reason", "test", "--yes").returncode == 0


def test_a_bounce_to_a_mailbox_that_is_gone_ends_there(relaying: Site) -> None:
    submitted(relaying, "ghost@hq.example", "refused@elsewhere.example", "token-ghost-.")
    eventually(relaying.is_empty, what="message and bounce are gone")
    stays(relaying.is_empty, 1)


def test_expiry_is_reported(site: Site) -> None:
    """Nobody listens at the smarthost, and the lifetime is short."""
    site.relay_to(NOBODY)
    site.config["retry"].update({"lifetime": "3s"})
    site.write_config()
    site.start("sc")
    submitted(site, "anna@hq.example", "x@elsewhere.example", "token-expired-.")
    eventually(lambda: reports(site, "anna"), what="a bounce")
    assert status(reports(site, "anna")[0])[1]["Action"] == "failed"
    assert status(reports(site, "anna")[0])[1]["Status"][0] in "45"


def test_what_the_dns_says_is_final_or_not(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """No such domain and a null MX bounce; a name server that refuses the question makes the message wait."""
    server = name_server({"partner.example": "null MX 0 .\nmute MX 10 nowhere.unserved.test.\n"})
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("se")
    for name in ("x@none.partner.example", "x@null.partner.example", "x@mute.partner.example"):
        submitted(site, "anna@hq.example", name, f"token-{name.split('.')[0][2:]}-.")
    eventually(lambda: len(reports(site, "anna")) == 2, what="two bounces")
    codes = {
        str(g["Final-Recipient"]).split("@")[1]: g["Status"] for r in reports(site, "anna") for g in status(r)[1:]
    }
    assert codes["null.partner.example"] == "5.1.10"
    assert codes["none.partner.example"] in ("5.1.2", "5.4.4")
    stays(lambda: len(site.entries("direct")) == 1, 1, "the third waits")
