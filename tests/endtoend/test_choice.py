"""Relay or direct: smarthosts in order, and a word changed while mail is queued."""

from __future__ import annotations

import email
import signal
from collections.abc import Callable
from email.header import decode_header, make_header
from pathlib import Path

from clients import send
from deadline import eventually, stays
from mailsite import NOBODY, Site
from peers import FarEnd, NameServer, SmtpSink
from process import free_port
from setting import FAR_ADDRESSES, Stage

SENDER = "bert@hq.example"


def fill(site: Site, count: int, domain: str = "partner.example") -> list[str]:
    tokens = [f"token-queued-{number}-." for number in range(count)]
    for token in tokens:
        send(site.port, SENDER, [f"x@{domain}"], f"Subject: {token}\r\n\r\n".encode())
    return tokens


def reload(site: Site) -> None:
    for daemon in site.daemons.values():
        if daemon.is_running:
            daemon.signal(signal.SIGHUP)


def test_the_second_smarthost_takes_over(site: Site, stage: Stage, tmp_path: Path) -> None:
    first = FarEnd(tmp_path, free_port("127.0.0.1"))
    second = FarEnd(tmp_path, free_port("127.0.0.1"))
    stage.peer(second)
    site.relay_to(first.hop, second.hop)
    site.write_config()
    site.start("sc")
    tokens = fill(site, 5)
    eventually(lambda: second.count() == 5, what="five messages at the second")
    assert all(len(second.find(token)) == 1 for token in tokens)
    eventually(site.is_empty)


def test_the_first_smarthost_is_preferred(site: Site, stage: Stage, tmp_path: Path) -> None:
    first = FarEnd(tmp_path, free_port("127.0.0.1"))
    second = FarEnd(tmp_path, free_port("127.0.0.1"))
    stage.peer(first)
    stage.peer(second)
    site.relay_to(first.hop, second.hop)
    site.write_config()
    site.start("sc")
    fill(site, 5)
    eventually(lambda: first.count() == 5, what="five messages at the first")
    assert second.count() == 0


def test_a_deferral_is_tried_again_and_a_trail_kept(site: Site, stage: Stage, tmp_path: Path) -> None:
    far_end = FarEnd(tmp_path, free_port("127.0.0.1"))
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    [token] = fill(site, 1)
    eventually(lambda: list((site.root / "spool" / ".relay" / "trail").iterdir()), what="a trail of the attempt")
    assert far_end.count() == 0
    stage.peer(far_end)
    eventually(lambda: far_end.find(token), what="arrival once the smarthost is there")
    eventually(site.is_empty)
    eventually(lambda: not list((site.root / "spool" / ".relay" / "trail").iterdir()), what="no trail left")


def test_a_server_of_seven_bits_gets_seven_and_signed_mail_comes_back(
    site: Site, stage: Stage, tmp_path: Path
) -> None:
    """RFC 6152 §3: converted, or returned; the decoded text is the same (docs/rfc.md)."""
    old = SmtpSink(tmp_path, free_port("127.0.0.1"), "-8")
    stage.peer(old)
    site.relay_to(old.hop)
    site.write_config()
    site.start("sc")
    text = "Subject: token-bits-. Grüße\r\n\r\nGrüße\r\n".encode()
    send(site.port, SENDER, ["x@elsewhere.example"], text, ("BODY=8BITMIME",))
    send(site.port, SENDER, ["y@elsewhere.example"], b"DKIM-Signature: v=1\r\n" + text, ("BODY=8BITMIME",))
    [copy] = eventually(lambda: old.find("token-bits-."), what="arrival")
    message = email.message_from_bytes(copy[copy.index(b"Received:") :])
    assert copy.isascii() and b"8BITMIME" not in copy
    assert message.get_payload(decode=True).strip() == "Grüße".encode() and message.get_content_charset() == "utf-8"
    assert str(make_header(decode_header(message["Subject"]))) == "token-bits-. Grüße"
    [event] = eventually(lambda: site.events("message-bounced"), what="a bounce")
    [failed] = site.events("recipient-failed")
    assert "5.6.2" in failed["reply"] and failed["id"] == event["id"]
    [bounce] = eventually(lambda: site.mailbox("bert"), what="the bounce")
    assert b"would break the" in bounce and len(old.find("token-bits-.")) == 1
    [delivered] = site.events("recipient-delivered")[:1]
    assert "takes no 8-bit mail" in str(delivered)


def test_relay_becomes_direct_while_mail_is_queued(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """The smarthost is down; one word is changed, SIGHUP, and what waited goes to the MX."""
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    site.relay_to(NOBODY)
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.config["retry"].update({"first": "2s", "longest": "3s"})
    site.write_config()
    site.start("sce")
    tokens = fill(site, 20)
    assert len(site.entries("relay")) == 20
    stays(lambda: far_end.count() == 0, 1)
    site.here["delivery"] = "direct"
    site.write_config()
    reload(site)
    eventually(lambda: far_end.count() == 20, what="all 20 at the MX")
    assert all(len(far_end.find(token)) == 1 for token in tokens)
    eventually(site.is_empty)


def test_direct_becomes_relay_while_mail_is_queued(
    site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """The MX does not answer; after the change the smarthost takes everything."""
    smarthost = FarEnd(tmp_path, free_port("127.0.0.1"))
    stage.peer(smarthost)
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    site.relay_to(smarthost.hop)
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": free_port(*FAR_ADDRESSES), "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("sce")
    fill(site, 10)
    stays(lambda: len(site.entries("direct")) == 10, 1)
    site.here["delivery"] = "relay"
    site.write_config()
    reload(site)
    eventually(lambda: smarthost.count() == 10, what="all 10 at the smarthost")
    eventually(site.is_empty)


def test_hold_keeps_mail_until_the_word_changes(site: Site, far_end: FarEnd) -> None:
    """But what was held by hand stays until it is released by hand."""
    site.relay_to(far_end.hop)
    site.here["delivery"] = "hold"
    site.write_config()
    site.start("sc")
    fill(site, 3)
    stays(lambda: len(site.entries("hold")) == 3 and far_end.count() == 0, 1)
    by_hand = site.entries("hold")[0].name.split(".")[1]
    held = site.mercury("queue", "hold", by_hand, "--yes", "--reason", "a test")
    assert held.returncode == 0, held.stdout + held.stderr
    site.here["delivery"] = "relay"
    site.write_config()
    reload(site)
    eventually(lambda: far_end.count() == 2, what="two of three at the smarthost")
    stays(lambda: len(site.entries("hold")) == 1, 1)
    done = site.mercury("queue", "release", by_hand, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: far_end.count() == 3, what="all at the smarthost")
    eventually(site.is_empty)


def test_a_broken_configuration_is_not_taken_over_on_reload(site: Site, far_end: FarEnd) -> None:
    """The old one stays in force, and the log says where the fault is."""
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    good = site.config_path.read_bytes()
    site.config_path.write_text("hostname: [broken\n")
    reload(site)
    eventually(lambda: f"{site.config_path}:" in site.logs(), what="the position of the fault in the log")
    fill(site, 1)
    eventually(lambda: far_end.count() == 1, what="mail still flows")
    site.config_path.write_bytes(good)
