"""Submission as swaks does it: who may send as whom, what is added and taken out, and what a filter says on the wire."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from certificate import self_signed
from clients import Raw
from deadline import eventually
from mailsite import NOBODY, Site
from peers import program
from process import free_port
from setting import Stage


@pytest.fixture(scope="module")
def site(module_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A submission port for those with a login, and a port for strangers with filters."""
    site = module_stage.site(tmp_path_factory.mktemp("submission"))
    certificate, key = self_signed(site.root, "mail.hq.example", "IP:127.0.0.1")
    site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    site.config["receive"]["listeners"] += [
        {"port": free_port("127.0.0.1"), "address": "127.0.0.1", "kind": "submission"}
    ]
    site.config["receive"]["filters"] = [
        {"on": "helo", "match": "friend.example", "action": "skip_all"},
        {"on": "deferred_helo", "match": "swaks.*", "action": "fail", "reply": "550 5.7.1 Servers have names"},
        {"on": "mail", "match": "*@spam.example", "action": "reply_drop", "reply": "554 5.7.1 Away with you"},
        {"on": "rcpt", "match": "trap@hq.example", "action": "blacklist"},
        {"on": "subject", "match": "*lottery*", "action": "drop"},
    ]
    site.config["receive"]["submission"] = {
        "senders": [{"login": "bert@hq.example", "addresses": ["*.hq.example"]}],
    }
    site.config["sites"]["hq"]["networks"] = ["192.0.2.0/24"]
    (site.root / "aliases").write_text("postmaster: anna\ninfo: anna\n")
    site.relay_to(NOBODY)
    site.write_config()
    site.add_users("anna", "bert")
    site.start("s")
    yield site


def swaks(site: Site, sender: str, text: str, *options: str, login: str = "anna@hq.example") -> str:
    """What was said, by both; the message goes to anna."""
    port = site.config["receive"]["listeners"][-1]["port"]
    message = site.root / "message"
    message.write_text(text)
    command = [program("swaks"), "--server", f"127.0.0.1:{port}", "--from", sender, "--to", "anna@hq.example"]
    command += ["--tls", "--auth", "PLAIN", "--auth-user", login, "--auth-password", "correct horse"]
    command += ["--ehlo", "swaks.example", "--data", f"@{message}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


def found(site: Site, name: str, field: str, value: str) -> list[dict[str, Any]]:
    """The events of that name in which `field` is `value`."""
    return [event for event in site.events(name) if event[field] == value]


def delivered(site: Site, token: str) -> bytes:
    [copy] = eventually(lambda: [m for m in site.mailbox("anna") if token.encode() in m], what="delivery")
    return copy


def test_the_own_address_may_be_used_and_what_is_missing_is_added(site: Site) -> None:
    said = swaks(site, "anna@hq.example", "Subject: token-own-.\n\nhello\n")
    assert "250 2.0.0 OK, queued as" in said
    header = delivered(site, "token-own-.").partition(b"\n\n")[0]
    for field in (b"\nDate: ", b"\nMessage-ID: <", b"\nFrom: anna@hq.example"):
        assert header.count(field) == 1
    assert b"with ESMTPSA" in header


def test_an_alias_that_leads_to_the_login_may_be_used(site: Site) -> None:
    assert "250 2.0.0 OK" in swaks(site, "info@hq.example", "From: info\nSubject: token-alias-.\n\nhello\n")
    copy = delivered(site, "token-alias-.")
    assert b"\nFrom: info@hq.example\n" in copy, "a domain that is missing is added"


def test_a_configured_list_gives_more(site: Site) -> None:
    assert "250 2.1.0" in swaks(site, "x@branch.hq.example", "Subject: x\n\n", login="bert@hq.example")
    assert "550 5.7.1" in swaks(site, "x@branch.hq.example", "Subject: x\n\n", login="anna@hq.example")


@pytest.mark.parametrize("foreign", ["bert@hq.example", "boss@far.example"])
def test_a_foreign_address_is_refused_with_a_text_that_helps(site: Site, foreign: str) -> None:
    said = swaks(site, foreign, "Subject: x\n\n")
    assert f"550 5.7.1 You are logged in as anna@hq.example and may not send as {foreign}" in said
    assert "choose your own address" in said


def test_bcc_is_removed(site: Site) -> None:
    text = (
        "From: Anna <anna@hq.example>\nBcc: secret@far.example,\n other@far.example\nSubject: token-bcc-.\n\nBcc: y\n"
    )
    assert "250 2.0.0 OK" in swaks(site, "anna@hq.example", text)
    header, _, body = delivered(site, "token-bcc-.").partition(b"\n\n")
    assert b"far.example" not in header and b"Bcc" not in header
    assert body.strip() == b"Bcc: y"


def test_a_malformed_from_is_refused_with_an_example(site: Site) -> None:
    said = swaks(site, "anna@hq.example", "From: Anna Berg\nSubject: x\n\nhello\n")
    assert "550 5.6.0 The From field has a name without an address in angle brackets" in said
    assert "From: Anna Berg <anna@example.org>" in said


def test_a_login_is_wanted(site: Site) -> None:
    with Raw(site.config["receive"]["listeners"][-1]["port"]) as raw:
        raw.say("EHLO client.example")
        assert raw.say("MAIL FROM:<anna@hq.example>").startswith("530 5.7.0 ")


# ---- filters, by those who have no login ---------------------------------------------------------------------------


def test_deferred_helo_is_judged_at_mail(site: Site) -> None:
    with Raw(site.port) as raw:
        assert raw.say("EHLO swaks.example").startswith("250")
        assert raw.say("MAIL FROM:<x@far.example>") == "550 5.7.1 Servers have names"
        assert raw.say("EHLO mx.far.example").startswith("250")
        assert raw.say("MAIL FROM:<x@far.example>").startswith("250")


def test_reply_drop_says_it_and_hangs_up(site: Site) -> None:
    with Raw(site.port) as raw:
        raw.say("EHLO mx.far.example")
        assert raw.say("MAIL FROM:<x@spam.example>") == "554 5.7.1 Away with you"
        with pytest.raises(ConnectionError):
            raw.reply()
    event = eventually(lambda: found(site, "filter-matched", "text", "x@spam.example"), what="the event")[0]
    line = int(event["rule"].rpartition(":")[2])
    assert "*@spam.example" in "".join(site.config_path.read_text().splitlines()[line - 1 : line + 2])


def test_a_dropped_message_seems_taken(site: Site) -> None:
    with Raw(site.port) as raw:
        raw.say("EHLO mx.far.example")
        raw.say("MAIL FROM:<x@far.example>")
        raw.say("RCPT TO:<anna@hq.example>")
        raw.say("DATA")
        raw.send(b"Subject: Your lottery\r\n\r\n.\r\n")
        said = raw.reply()
    assert said.startswith("250 2.0.0 OK, queued as ")
    [event] = eventually(lambda: site.events("message-dropped"), what="the event")
    assert event["id"] == said.split()[-1]
    assert site.is_empty() or not any(event["id"] in path.name for path in site.entries("local"))


def test_skip_all_passes_everything(site: Site) -> None:
    with Raw(site.port) as raw:
        raw.say("EHLO friend.example")
        assert raw.say("MAIL FROM:<x@spam.example>").startswith("250")


def test_a_trap_puts_the_client_on_the_blacklist(site: Site) -> None:
    with Raw(site.port, "127.0.0.77") as raw:
        raw.say("EHLO mx.far.example")
        raw.say("MAIL FROM:<x@far.example>")
        assert raw.say("RCPT TO:<trap@hq.example>").startswith("550 5.7.1 ")
    with Raw(site.port, "127.0.0.77") as raw:
        assert raw.greeting.startswith("421 4.7.1 ")
    with Raw(site.port, "127.0.0.78") as raw:
        assert raw.greeting.startswith("220 ")


# ---- rewriting, after a reload: the last in this file ----------------------------------------------------------------


def test_a_foreign_address_is_rewritten_where_that_is_wanted(site: Site) -> None:
    site.config["receive"]["submission"] = {"sender": "rewrite", "header_from": "rewrite"}
    site.write_config()
    before = len(site.events("config-reloaded"))
    site.daemons["s"].signal(signal.SIGHUP)
    eventually(lambda: len(site.events("config-reloaded")) > before, what="the reload")
    said = swaks(site, "boss@far.example", "From: The Boss <boss@far.example>\nSubject: token-rewrite-.\n\nhello\n")
    assert "250 2.0.0 OK" in said
    copy = delivered(site, "token-rewrite-.")
    assert b"\nFrom: The Boss <anna@hq.example>\n" in copy
    assert b"Return-Path: <anna@hq.example>\n" in copy
    events = eventually(lambda: found(site, "sender-rewritten", "where", "From"), what="the event")
    assert [event["sender"] for event in events] == ["boss@far.example"]
    assert found(site, "sender-rewritten", "where", "MAIL FROM")
