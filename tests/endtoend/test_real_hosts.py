"""Mail through servers that are not ours: Postfix with Dovecot, and Exim as smarthosts, and with OpenSMTPD as
mail exchangers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from clients import send
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer
from real_hosts import ADDRESS, KINDS, PASSWORD, SMARTHOSTS, RealHost, why_not
from samples import SMALL, Sample

SENDER = "bert@hq.example"
#  Lines and dots, and octets that are no UTF-8: what came out of the next server is what went in.
HARD = [sample for sample in SMALL if sample.name in ("eight-bit", "leading-dots", "long-line")]


def message(sample: Sample, route: str) -> bytes:
    """With whole addresses: some servers complete what is not."""
    return sample.message(route).replace(b"To: you\r\n", b"To: you@elsewhere.example\r\n")


@pytest.fixture
def host(request: pytest.FixtureRequest, far_end: FarEnd) -> Iterator[RealHost]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    host = RealHost(request.param, far_end.hop)
    try:
        yield host.start()
    except BaseException:
        print(host.log())
        raise
    finally:
        print(host.log()[-6000:])
        host.stop()


def pin_of(path: Path) -> str:
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def arrives_whole(far_end: FarEnd, route: str) -> None:
    for sample in HARD:
        [kept] = eventually(partial(far_end.find, sample.token(route)), what=f"arrival of {sample.name}")
        #  Each server on the way puts its own fields on top, and nothing else.
        assert kept.content.endswith(message(sample, route)), sample.name
        assert kept.facts["recipients"] == [f"x@{route}.example"]


#  Postfix and Dovecot together take their time over a wrong password.
@pytest.mark.parametrize("host", [pytest.param("postfix", marks=pytest.mark.proof), *SMARTHOSTS[1:]], indirect=True)
def test_a_smarthost_takes_what_it_should(site: Site, far_end: FarEnd, host: RealHost) -> None:
    secret = site.root / "isp"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    site.here["smarthosts"] = [
        {"host": host.address, "port": host.port, "login": "office", "password_file": str(secret), "tls": "pin",
         "pins": [pin_of(host.certificate)]}
    ]  # fmt: skip
    site.write_config()
    site.start("sc")
    for sample in HARD:
        recipients = ["x@elsewhere.example", "refused@elsewhere.example"]
        send(site.port, SENDER, recipients, message(sample, "elsewhere"), sample.options)
    [event] = eventually(lambda: site.events("recipient-deferred")[:1], what="a login that is refused")
    assert "refused the login" in event["reply"], event
    stays(lambda: far_end.count() == 0 and not site.events("message-bounced"), 0.5)
    secret.write_text(PASSWORD + "\n")
    #  Anew: a hop that has refused us is left alone for a while.
    site.stop("c")
    site.start("c")
    arrives_whole(far_end, "elsewhere")
    eventually(site.is_empty, what="an empty spool")
    eventually(lambda: len(site.events("message-bounced")) == len(HARD), what="the bounces")
    failed = site.events("recipient-failed")
    assert [event["recipient"] for event in failed] == ["refused@elsewhere.example"] * len(HARD)
    assert all(event["reply"].startswith("5") for event in failed)
    assert all("TLSv1" in event["reason"] for event in site.events("recipient-delivered") if event["lane"] == "relay")


@pytest.mark.parametrize("host", KINDS, indirect=True)
def test_a_mail_exchanger_takes_what_it_should(
    site: Site, far_end: FarEnd, host: RealHost, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    server = name_server({"partner.example": f"@ MX 10 mx\nmx A {ADDRESS}\n"})
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": host.port, "allow_addresses": ["127.0.0.0/8"]}
    site.here["delivery"] = "direct"
    site.write_config()
    site.start("se")
    for sample in HARD:
        recipients = ["x@partner.example", "refused@partner.example"]
        send(site.port, SENDER, recipients, message(sample, "partner"), sample.options)
    arrives_whole(far_end, "partner")
    eventually(site.is_empty, what="an empty spool")
    eventually(lambda: len(site.events("message-bounced")) == len(HARD), what="the bounces")
    failed = site.events("recipient-failed")
    assert [event["recipient"] for event in failed] == ["refused@partner.example"] * len(HARD)
    delivered = [event for event in site.events("recipient-delivered") if event["lane"] == "direct"]
    assert host.kind not in SMARTHOSTS or all("TLSv1" in event["reason"] for event in delivered), delivered
