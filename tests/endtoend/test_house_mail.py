"""The mail of a house: people found by name, a list with members here and elsewhere, forwarding that SPF lets pass."""

from __future__ import annotations

import smtplib
import stat

from clients import Raw, send
from deadline import eventually
from mailsite import Site
from peers import FarEnd


def test_names_lists_and_forwarding(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.config["local"] |= {
        "names": {"first_last": True},
        "srs": True,
        "lists": [
            {
                "address": "staff@hq.example",
                "owner": "bert@hq.example",
                "members": ["anna@hq.example", "carla@partner.example"],
                "post": "local",
                "reply_to": "list",
                "tag": "Staff",
            }
        ],
    }
    (site.root / "aliases").write_text("postmaster: anna\naway: dora@partner.example\n")
    site.write_config()
    assert site.mercury("user", "set", "anna@hq.example", "--name", "Anna Maria Berg").returncode == 0
    site.start("sc")

    send(site.port, "who@far.example", ["Anna.Berg@hq.example"], b"Subject: token-name-.\r\n\r\n")
    eventually(lambda: [copy for copy in site.mailbox("anna") if b"token-name-." in copy], what="mail by name")

    send(
        site.port,
        "bert@hq.example",
        ["staff@hq.example"],
        b"From: bert@hq.example\r\nSubject: token-list-.\r\n\r\nx\r\n",
    )
    (copy,) = eventually(lambda: far_end.find("token-list-."), what="the member elsewhere")
    assert copy.facts["sender"] == "staff-bounces@hq.example"
    for field in (b"Subject: [Staff] token-list-.", b"List-Id: <staff.hq.example>", b"Reply-To: <staff@hq.example>"):
        assert b"\r\n" + field + b"\r\n" in copy.content
    eventually(
        lambda: [copy for copy in site.mailbox("anna") if b"[Staff] token-list-." in copy], what="the member here"
    )

    send(site.port, "who@far.example", ["away@hq.example"], b"Subject: token-away-.\r\n\r\n")
    (forwarded,) = eventually(lambda: far_end.find("token-away-."), what="the forwarded message")
    sender = forwarded.facts["sender"]
    assert sender.startswith("SRS0=") and sender.endswith("=far.example=who@hq.example")
    assert stat.S_IMODE((site.root / "state" / "srs.key").stat().st_mode) == 0o600

    send(site.port, "", [sender], b"Subject: token-back-.\r\n\r\n")
    (back,) = eventually(lambda: far_end.find("token-back-."), what="the bounce on its way back")
    assert back.facts["recipients"] == ["who@far.example"] and back.facts["sender"] == "<>"
    with smtplib.SMTP("127.0.0.1", site.port) as client:
        client.ehlo("client.example")
        client.mail("")
        assert client.rcpt(sender.replace("=who", "=woo"))[0] == 550


def test_a_list_turns_strangers_away_at_rcpt(site: Site) -> None:
    """A stranger is whoever is in no site's network."""
    site.here["networks"] = ["127.0.0.2/32"]
    site.config["local"]["lists"] = [
        {"address": "staff@hq.example", "owner": "bert@hq.example", "members": ["anna@hq.example"], "post": "local"}
    ]
    site.write_config()
    site.start("s")
    for source, expected in (("127.0.0.1", "550 5.7.1"), ("127.0.0.2", "250 2.1.5")):
        with Raw(site.port, source) as raw:
            raw.say("EHLO client.example")
            raw.say("MAIL FROM:<anna@hq.example>")
            assert raw.say("RCPT TO:<staff@hq.example>").startswith(expected)
