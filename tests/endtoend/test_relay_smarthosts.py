"""The smarthosts of a site: who gets the mail when one is down, how they are found, and what they must prove."""

from __future__ import annotations

import base64
import hashlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificate import self_signed
from clients import send
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

SENDER = "bert@hq.example"


def relay(site: Site, *smarthosts: dict[str, Any]) -> None:
    site.here["smarthosts"] = list(smarthosts)
    site.write_config()
    site.start("sc")


def post(site: Site, token: str) -> None:
    send(site.port, SENDER, ["x@elsewhere.example"], f"Subject: {token}\r\n\r\nhello\r\n".encode())


def test_the_second_takes_over_and_the_first_gets_its_mail_back(site: Site, stage: Stage, tmp_path: Path) -> None:
    first = FarEnd(tmp_path, free_port("127.0.0.21"), ("127.0.0.21",))
    second = FarEnd(tmp_path, free_port("127.0.0.22"), ("127.0.0.22",))
    stage.peer(second)
    relay(
        site,
        {"host": second.hop[0], "port": second.port, "tls": "off", "priority": 2},
        {"host": first.hop[0], "port": first.port, "tls": "off", "priority": 1},
    )
    post(site, "token-one-.")
    eventually(lambda: second.find("token-one-."), what="arrival at the second")
    [event] = eventually(lambda: site.events("recipient-delivered"), what="the event")
    assert f"not 127.0.0.21[127.0.0.21]:{first.port} cannot be reached (connection refused)" in event["reason"]
    assert event["reason"].startswith("site hq: relay")
    stage.peer(first)
    eventually(lambda: site.events("hop-recovered"), what="a probe that finds it well")
    post(site, "token-two-.")
    eventually(lambda: first.find("token-two-."), what="arrival at the first")
    assert second.count() == 1 and first.count() == 1
    assert len(site.events("hop-passed-over")) == 1


def test_smarthosts_of_one_priority_share_the_mail_and_each_is_called_as_it_wants(
    site: Site, stage: Stage, tmp_path: Path
) -> None:
    peers = [FarEnd(tmp_path, free_port(address), (address,)) for address in FAR_ADDRESSES]
    for peer in peers:
        stage.peer(peer)
    names = ["one.hq.example", "two.hq.example"]
    relay(
        site,
        *(
            {"host": peer.hop[0], "port": peer.port, "tls": "off", "priority": 1, "helo": name,
             "source_address": [source]}
            for peer, name, source in zip(peers, names, ("127.0.0.31", "127.0.0.32"), strict=True)
        ),
    )  # fmt: skip
    for number in range(30):
        post(site, f"token-{number}-.")
    eventually(lambda: sum(peer.count() for peer in peers) == 30, what="all of them")
    for peer, name, source in zip(peers, names, ("127.0.0.31", "127.0.0.32"), strict=True):
        kept = peer.kept()
        assert len(kept) >= 3, "by chance alone that is one in a million"
        assert {each.facts["helo"] for each in kept} == {name}
        assert {each.facts["peer"][0] for each in kept} == {source}


@pytest.fixture
def isp(stage: Stage, tmp_path: Path) -> tuple[FarEnd, Path, Path]:
    """An aiosmtpd with STARTTLS that wants a certificate of the client; its own certificate, and the client's."""
    certificate, key = self_signed(tmp_path, "smtp.isp.example")
    own, _ = self_signed(tmp_path, "mail.hq.example")
    options = ("--certificate", str(certificate), "--key", str(key), "--client-authority", str(own))
    far_end = FarEnd(tmp_path, free_port("127.0.0.21"), ("127.0.0.21",), *options)
    stage.peer(far_end)
    return far_end, certificate, own


def test_found_in_the_dns_and_verified_by_its_own_authority(
    site: Site, isp: tuple[FarEnd, Path, Path], name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    far_end, certificate, own = isp
    zone = f"_submission._tcp SRV 1 1 {far_end.port} smtp\nsmtp A 127.0.0.21\n"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server({'isp.example': zone}).port}"]}
    key = own.with_name("mail.hq.example.key.pem")
    trust = {"authorities": str(certificate), "certificate": str(own), "key": str(key)}
    relay(site, {"host": "isp.example", **trust})
    post(site, "token-found-.")
    [kept] = eventually(lambda: far_end.find("token-found-."), what="arrival")
    assert kept.facts["tls"] is True
    [event] = eventually(lambda: site.events("recipient-delivered"), what="the event")
    assert event["host"] == f"smtp.isp.example[127.0.0.21]:{far_end.port}"


def pin_of(path: Path) -> str:
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


def test_a_pinned_smarthost_is_believed_by_its_key_and_another_key_waits(
    site: Site, isp: tuple[FarEnd, Path, Path]
) -> None:
    far_end, certificate, own = isp
    key = own.with_name("mail.hq.example.key.pem")
    hop = {"host": "127.0.0.21", "port": far_end.port, "tls": "pin", "certificate": str(own), "key": str(key)}
    relay(site, {**hop, "pins": [pin_of(own)]})
    post(site, "token-pinned-.")
    [event] = eventually(lambda: site.events("recipient-deferred")[:1], what="a deferral")
    assert f"its pin is {pin_of(certificate)}" in event["reply"] and event["reply"].startswith("454 4.7.5")
    stays(lambda: far_end.count() == 0, 0.3)
    site.here["smarthosts"] = [{**hop, "pins": [pin_of(certificate), pin_of(own)]}]
    site.write_config()
    site.daemons["c"].signal(signal.SIGHUP)
    [kept] = eventually(lambda: far_end.find("token-pinned-."), what="arrival")
    assert kept.facts["tls"] is True


def test_a_name_that_leads_out_of_the_house_gets_no_plain_text(
    site: Site, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    zone = "smtp A 192.88.99.1\n"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server({'isp.example': zone}).port}"]}
    relay(site, {"host": "smtp.isp.example", "port": 25, "tls": "off"})
    post(site, "token-plain-.")
    [event] = eventually(lambda: site.events("recipient-deferred")[:1], what="a deferral")
    assert "192.88.99.1 is no private address" in event["reply"]
    assert event["reply"].startswith("454 4.7.4")
