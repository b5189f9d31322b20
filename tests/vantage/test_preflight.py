"""shared/vantage: the checks of a preflight, green, amber and red, with a DNS from a table."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fakes.zones import FakeResolver

from shared.dns.answers import Trouble
from shared.vantage.dkim_key import parse_key
from shared.vantage.knock import Finding, Knock
from shared.vantage.light import Check, Light, worst
from shared.vantage.own_address import echoed_address
from shared.vantage.preflight import Flight, preflight

HERE, SIX, NAME = "203.0.113.5", "2001:db8::5", "mail.hq.example"
PTR, LISTED = "5.113.0.203.in-addr.arpa", "5.113.0.203.bl.example"
SIX_BACKWARDS = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"


def key(bits: int = 2048) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


GOOD_KEY = f"v=DKIM1; k=rsa; p={key()}"
ZONE: dict[str, Any] = {
    PTR: {"PTR": [NAME]},
    f"{SIX_BACKWARDS}.ip6.arpa": {"PTR": [NAME]},
    NAME: {"A": [HERE], "AAAA": [SIX]},
    "hq.example": {"TXT": [f"v=spf1 ip4:{HERE} ip6:{SIX} -all"]},
    "s1._domainkey.hq.example": {"TXT": [GOOD_KEY]},
    "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
}
FLIGHT = Flight(NAME, ("hq.example",), (HERE,), "s1", ("bl.example",), ("mx.one.example", "mx.two.example"), 25)


class Knocks:
    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    async def knock_at(self, endpoints: Sequence[str]) -> tuple[Knock, ...]:
        return tuple(Knock(*pair) for pair in zip(endpoints, self.findings, strict=True))


OPEN = Knocks(Finding.SILENT, Finding.ANSWERS)


def fly(
    zone: dict[str, Any] | None = None, *, knocks: Knocks = OPEN, sources=(), echo=None, **changes
) -> list[Check]:
    names = FakeResolver({**ZONE, **(zone or {})})
    return asyncio.run(preflight(replace(FLIGHT, **changes), names, knocks, lambda: sources, echo))


def of(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


@pytest.mark.parametrize("address", [HERE, SIX])
def test_a_host_that_is_as_it_should_be_is_green(address: str) -> None:
    checks = fly(addresses=(address,))
    assert [(check.name, check.light, check.to_do) for check in checks] == [
        (name, Light.GREEN, "") for name in ("address", "ptr", "spf", "dkim", "blocklist", "port")
    ]
    assert worst(checks) is Light.GREEN


@pytest.mark.parametrize(
    ("zone", "light", "says", "to_do"),
    [
        ({PTR: {}}, Light.RED, "has no name", NAME),
        ({PTR: Trouble("timed out")}, Light.AMBER, "timed out", "dns.servers"),
        ({NAME: {"A": ["203.0.113.6"]}}, Light.RED, "does not lead back", f"A {HERE}"),
        ({PTR: {"PTR": ["dyn-5.isp.example"]}}, Light.RED, "does not lead back", NAME),
        (
            {PTR: {"PTR": ["dyn-5.isp.example"]}, "dyn-5.isp.example": {"A": [HERE]}},
            Light.AMBER, "we say EHLO", "set hostname to dyn-5.isp.example",
        ),
    ],
)  # fmt: skip
def test_the_name_of_the_address(zone: dict[str, Any], light: Light, says: str, to_do: str) -> None:
    check = of(fly(zone), "ptr")
    assert check.light is light and says in check.says and to_do in check.to_do


@pytest.mark.parametrize(
    ("record", "light", "to_do"),
    [
        ("words", Light.AMBER, f"v=spf1 ip4:{HERE} -all"),
        ("v=spf1 ip4:203.0.113.6 -all", Light.RED, f"add ip4:{HERE}"),
        ("v=spf1 ip4:203.0.113.6 ~all", Light.AMBER, f"add ip4:{HERE}"),
        ("v=spf1 nonsense", Light.RED, "correct"),
    ],
)
def test_the_spf_record_contains_the_address(record: str, light: Light, to_do: str) -> None:
    check = of(fly({"hq.example": {"TXT": [record]}}), "spf")
    assert check.light is light and to_do in check.to_do


def test_the_ehlo_name_counts_if_it_has_a_record() -> None:
    checks = fly({NAME: {**ZONE[NAME], "TXT": ["v=spf1 -all"]}})
    assert [(check.about, check.light) for check in checks if check.name == "spf"] == [
        (f"hq.example from {HERE}", Light.GREEN),
        (f"{NAME} from {HERE}", Light.RED),
    ]


@pytest.mark.parametrize(
    ("texts", "light", "says"),
    [
        ([], Light.RED, "no key"),
        (["words"], Light.RED, "no key"),
        (["v=DKIM1; p="], Light.RED, "revoked"),
        (["v=DKIM1; p=***"], Light.RED, "base64"),
        (["p=AAAA"], Light.RED, "cannot be read"),
        (["k=rsa; p=" + base64.b64encode(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()], Light.RED, "no RSA key"),
        (["k=dsa; p=AAAA"], Light.RED, "nobody knows"),
        ([GOOD_KEY, GOOD_KEY], Light.RED, "2 records"),
        ([f"p={key(1024)}"], Light.AMBER, "1024"),
        ([GOOD_KEY + "; t=y:s"], Light.AMBER, "t=y"),
        (["k=ed25519; p=" + base64.b64encode(b"k" * 32).decode()], Light.GREEN, "ed25519"),
        (["k=ed25519; p=AAAA"], Light.RED, "32 octets"),
    ],
)  # fmt: skip
def test_the_key_that_signs_is_published(texts: list[str], light: Light, says: str) -> None:
    check = of(fly({"s1._domainkey.hq.example": {"TXT": texts}}), "dkim")
    assert check.light is light and says in check.says
    assert check.light is Light.GREEN or check.to_do


def test_a_key_in_several_lines_is_one() -> None:
    assert parse_key(GOOD_KEY.replace("; ", " ;\t").replace("p=", "p= ")) == parse_key(GOOD_KEY)


def test_without_a_selector_dkim_is_not_looked_at() -> None:
    check = of(fly(selector=""), "dkim")
    assert check.light is Light.AMBER and "--selector" in check.to_do and "mercury dkim key hq.example" in check.to_do


def test_a_domain_that_no_key_of_ours_signs_for_is_told() -> None:
    domains = ("hq.example", "lists.hq.example", "plant.example")
    keys = (("s1._domainkey.hq.example", ZONE["s1._domainkey.hq.example"]["TXT"][0]),)
    first, second = [check for check in fly(selector="", domains=domains, keys=keys) if check.name == "dkim"]
    assert (first.light, first.about) == (Light.AMBER, "plant.example") and "dkim key plant.example" in first.to_do
    assert (second.light, second.about) == (Light.GREEN, "s1._domainkey.hq.example")


@pytest.mark.parametrize(
    ("zone", "light", "says"),
    [
        ({LISTED: {"A": ["127.0.0.4"], "TXT": ["seen in a trap"]}}, Light.RED, "127.0.0.4): seen in a trap"),
        ({LISTED: {"A": ["127.255.255.254"]}}, Light.AMBER, "does not answer us"),
        ({LISTED: {"A": ["203.0.113.80"]}}, Light.AMBER, "does not answer us"),
        ({LISTED: Trouble("SERVFAIL")}, Light.AMBER, "SERVFAIL"),
        ({"2.0.0.127.bl.example": {}}, Light.AMBER, "does not answer us"),
    ],
)
def test_blocklists(zone: dict[str, Any], light: Light, says: str) -> None:
    check = of(fly(zone), "blocklist")
    assert check.light is light and says in check.says and check.to_do


@pytest.mark.parametrize(
    ("findings", "light"),
    [
        ((Finding.SILENT, Finding.SILENT), Light.RED),
        ((Finding.REFUSED, Finding.MUTE), Light.RED),
        ((Finding.NO_ADDRESS, Finding.SILENT), Light.RED),
        ((Finding.NO_ADDRESS, Finding.NO_ADDRESS), Light.AMBER),
        ((Finding.ANSWERS, Finding.NO_WAY), Light.GREEN),
    ],
)
def test_the_port(findings: tuple[Finding, Finding], light: Light) -> None:
    check = of(fly(knocks=Knocks(*findings)), "port")
    assert check.light is light and (check.to_do or light is Light.GREEN)


def test_the_kernel_tells_the_address_unless_it_is_private() -> None:
    assert of(fly(addresses=(), sources=("10.0.0.5", HERE)), "address").about == HERE
    checks = fly(addresses=(), sources=("10.0.0.5",))
    assert of(checks, "address").light is Light.AMBER and "preflight.echo" in of(checks, "address").to_do
    assert {check.name for check in checks} == {"address", "dkim", "port"}, "what needs an address is not asked"


def test_an_address_that_was_given_must_be_one_that_strangers_see() -> None:
    assert of(fly(addresses=("192.168.1.5",)), "address").light is Light.AMBER


def test_the_page_is_asked_only_where_the_kernel_does_not_know() -> None:
    async def echo() -> str:
        return HERE

    async def broken() -> str:
        raise OSError("status 500")

    assert of(fly(addresses=(), sources=("10.0.0.5",), echo=echo), "address").about == HERE
    assert "status 500" in of(fly(addresses=(), sources=(), echo=broken), "address").says
    assert of(fly(addresses=(), sources=(HERE,), echo=broken), "address").light is Light.GREEN


@pytest.fixture
def page() -> Iterator[tuple[str, dict[str, Any]]]:
    """A web page on loopback, and what it says."""
    says: dict[str, Any] = {"status": 200, "body": b"203.0.113.5\n"}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(says["status"])
            self.end_headers()
            self.wfile.write(says["body"])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", says
    server.shutdown()
    server.server_close()


def test_a_page_that_tells_the_address_and_pages_that_do_not(page: tuple[str, dict[str, Any]]) -> None:
    url, says = page
    assert asyncio.run(echoed_address(url, 10)) == HERE
    says["body"] = b"<html>" * 1000
    with pytest.raises(ValueError, match="does not answer with an address"):
        asyncio.run(echoed_address(url, 10))
    says["status"] = 503
    with pytest.raises(OSError, match="status 503"):
        asyncio.run(echoed_address(url, 10))
