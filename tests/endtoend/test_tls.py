"""Encryption on both sides: STARTTLS and logins at MercuryS, what C and E demand of a next hop."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from certificate import self_signed
from clients import Raw, send, send_by_swaks
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

SENDER = "bert@hq.example"


@pytest.fixture
def encrypted_far_end(stage: Stage, tmp_path: Path) -> FarEnd:
    """An aiosmtpd that offers STARTTLS with a certificate nobody trusts."""
    certificate, key = self_signed(tmp_path, "far.example", "IP:127.0.0.21")
    options = ("--certificate", str(certificate), "--key", str(key))
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES, *options)
    stage.peer(far_end)
    return far_end


def test_an_mx_is_spoken_to_in_private_when_it_can(
    site: Site, encrypted_far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """Opportunistic (RFC 7435): better an unknown certificate than none."""
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": encrypted_far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("se")
    send(site.port, SENDER, ["x@partner.example"], b"Subject: token-private-.\r\n\r\nhello\r\n")
    [kept] = eventually(lambda: encrypted_far_end.find("token-private-."), what="arrival")
    assert kept.facts["tls"] is True


def test_a_smarthost_that_cannot_prove_its_name_gets_nothing(site: Site, encrypted_far_end: FarEnd) -> None:
    """`tls: verify` is what a smarthost is held to unless the configuration says otherwise."""
    site.relay_to(encrypted_far_end.hop)
    del site.here["smarthosts"][0]["tls"]
    site.write_config()
    site.start("sc")
    send(site.port, SENDER, ["x@elsewhere.example"], b"Subject: token-unproven-.\r\n\r\n")
    eventually(lambda: list((site.root / "spool" / ".relay" / "trail").iterdir()), what="an attempt")
    stays(lambda: encrypted_far_end.count() == 0 and len(site.entries("relay")) == 1, 1)


def test_a_smarthost_without_encryption_gets_nothing_where_it_is_demanded(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.here["smarthosts"][0]["tls"] = "verify"
    site.write_config()
    site.start("sc")
    send(site.port, SENDER, ["x@elsewhere.example"], b"Subject: token-clear-.\r\n\r\n")
    eventually(lambda: list((site.root / "spool" / ".relay" / "trail").iterdir()), what="an attempt")
    stays(lambda: far_end.count() == 0 and len(site.entries("relay")) == 1, 1)


@pytest.fixture
def submission(site: Site, far_end: FarEnd) -> Site:
    """A site with a certificate and a submission port; the tests' clients are in no site's network."""
    certificate, key = self_signed(site.root, "mail.hq.example", "IP:127.0.0.1")
    site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    site.config["receive"]["listeners"] = [
        {"port": site.port, "address": "127.0.0.1", "kind": "submission"},
    ]
    site.here["networks"] = ["192.0.2.0/24"]
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    return site


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_submission_wants_a_login_and_a_login_wants_tls(submission: Site) -> None:
    with Raw(submission.port) as raw:
        offered = raw.say("EHLO client.example")
        assert "STARTTLS" in offered and "AUTH" not in offered
        assert raw.say(f"MAIL FROM:<{SENDER}>").startswith("530 5.7.0 ")
        assert raw.say("AUTH PLAIN AGEAYg==")[0] == "5"


def test_mail_submitted_with_a_login_is_relayed(submission: Site, far_end: FarEnd) -> None:
    with smtplib.SMTP("127.0.0.1", submission.port, timeout=20) as client:
        client.starttls(context=unverified())
        client.login("bert@hq.example", "correct horse")
        client.sendmail(SENDER, ["x@elsewhere.example"], b"Subject: token-login-.\r\n\r\nhello\r\n")
    [kept] = eventually(lambda: far_end.find("token-login-."), what="arrival")
    received = kept.content.partition(b"\r\nSubject")[0]
    assert b"with ESMTPSA" in received and b"TLS" in received


def test_a_wrong_password_opens_nothing(submission: Site) -> None:
    with smtplib.SMTP("127.0.0.1", submission.port, timeout=20) as client:
        client.starttls(context=unverified())
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("bert@hq.example", "incorrect horse")
        assert refused.value.smtp_code == 535
        assert client.mail(SENDER)[0] == 530
    assert "incorrect horse" not in submission.logs()


def test_swaks_logs_in_and_sends(submission: Site, far_end: FarEnd, tmp_path: Path) -> None:
    text = tmp_path / "message"
    text.write_text("Subject: token-swaks-tls-.\n\nfrom swaks\n")
    login = ("--tls", "--auth", "PLAIN", "--auth-user", "bert@hq.example", "--auth-password", "correct horse")
    send_by_swaks(submission.port, SENDER, "x@elsewhere.example", text, *login)
    eventually(lambda: far_end.find("token-swaks-tls-."), what="arrival")


def test_what_is_sent_in_the_clear_behind_starttls_is_not_heard(submission: Site) -> None:
    """A command slipped in before the handshake must not be answered inside it (CVE-2011-0411 and its kin)."""
    with Raw(submission.port) as raw:
        raw.say("EHLO client.example")
        raw.send(b"STARTTLS\r\nNOOP\r\n")
        assert raw.reply()[:3] in ("220", "421")
        with pytest.raises(ConnectionError):
            raw.reply()
