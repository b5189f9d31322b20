"""What each demand on TLS does with each kind of certificate: the table in docs/tls.md, held against real servers.

A real MercuryE, real SMTP servers with good, expired, misnamed and self-signed certificates, a tree of signed zones
behind unbound with a trust anchor of its own, and policies from an HTTPS server.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import smtplib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from deadline import eventually
from mailsite import DOMAIN, ROOT, Site
from peers import FarEnd, NameServer
from policy_host import Page, PolicyHost
from process import free_port
from setting import Stage
from signed_zones import SignedZone, Validator

from shared.dkim.private_key import make_key
from tests.fakes.certificates import make_authority, make_certificate

KINDS = ("good", "expired", "misnamed", "self", "none")
ADDRESS = {kind: f"127.0.0.{number}" for number, kind in enumerate(KINDS, start=31)}
POLICY_ADDRESS = "127.0.0.40"
REQUIRING_ADDRESS = "127.0.0.36"  #  which offers REQUIRETLS
#  The rows of the table, by what the domains of each are called here.
ROUTED = ("verify", "pin", "wrong-pin", "encrypt", "off", "opportunistic")
SIGNED = ("dane-ee", "dane-other", "dane-ta", "dane-unusable", "dane-failing")
ROWS = {
    "`verify`": "verify",
    "`pin`, its key": "pin",
    "`pin`, another key": "wrong-pin",
    "DANE-EE(3), its key": "dane-ee",
    "DANE-EE(3), another key": "dane-other",
    "DANE-TA(2), the authority": "dane-ta",
    "TLSA records, none usable": "dane-unusable",
    "TLSA look-up fails": "dane-failing",
    "MTA-STS `enforce`": "sts-enforce",
    "MTA-STS `testing`": "sts-testing",
    "`encrypt`": "encrypt",
    "`opportunistic`": "opportunistic",
    "nothing": "nothing",
    "`off`": "off",
}
ENFORCE = b"version: STSv1\nmode: enforce\nmx: nowhere.test\nmax_age: 86400\n"
#  Pages that are none, each of which would keep mail back if it were believed.
ODD = {
    "odd-missing": Page(ENFORCE, 404),
    "odd-moved": Page(ENFORCE, 301, location="https://mta-sts.good.sts-enforce.plain.test/.well-known/mta-sts.txt"),
    "odd-html": Page(ENFORCE, kind="text/html"),
    "odd-large": Page(ENFORCE + b"x-more: " + b"x" * (10 << 20)),
    "odd-mode": Page(ENFORCE.replace(b"enforce", b"strict")),
}


def zone_of(mode: str) -> str:
    return "signed.test" if mode in SIGNED else "plain.test"


def domain(mode: str, kind: str) -> str:
    return f"{kind}.{mode}.{zone_of(mode)}"


def public_key(certificate: Path) -> bytes:
    key = x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


class World:
    """The far ends, the DNS and the policies; `config` is what a site needs to meet them."""

    def __init__(self, root: Path) -> None:
        self.port, https = free_port(*ADDRESS.values(), REQUIRING_ADDRESS), free_port(POLICY_ADDRESS)
        authority = make_authority(root)
        hosts = [f"mx.{domain(mode, kind)}" for mode in ROWS.values() for kind in KINDS]
        over = timedelta(days=-1)
        pairs = {
            "good": make_certificate(root, hosts, authority),
            "expired": make_certificate(root, hosts, authority, lasts=over),
            "misnamed": make_certificate(root, ["elsewhere.test"], authority),
            "self": make_certificate(root, hosts),
        }
        self.keys = {kind: public_key(pair[0]) for kind, pair in pairs.items()}
        self.authority = authority
        self.authority_key = public_key(authority.certificate)
        self.pages: dict[str, Page] = {}
        policy_names = [f"mta-sts.{domain(mode, kind)}" for mode in ("sts-enforce", "sts-testing") for kind in KINDS]
        page_pair = make_certificate(root, [*policy_names, *(f"mta-sts.{odd}.plain.test" for odd in ODD)], authority)
        self.policy_host = PolicyHost(POLICY_ADDRESS, https, *page_pair, self.pages)
        self.far_ends = [FarEnd(root, self.port, (ADDRESS[kind],), *_options(pairs.get(kind))) for kind in KINDS]
        chosen = make_certificate(root, ["mx.chosen.signed.test"], authority)
        options = (*_options(chosen), "--requiretls")
        self.requiring = FarEnd(root, self.port, (REQUIRING_ADDRESS,), *options)
        self.keys["chosen"] = public_key(chosen[0])
        signed, plain = self._zones()
        child = SignedZone("signed.test", signed)
        parent = SignedZone(
            "test",
            f"{child.anchor}\nsigned NS ns.signed\nns.signed A 127.0.0.1\nplain NS ns.plain\nns.plain A 127.0.0.1\n",
        )
        texts = {"test": parent.text(), "signed.test": child.text("dane-failing"), "plain.test": plain}
        self.name_server = NameServer(root, free_port("127.0.0.1"), texts)
        self.validator = Validator(root, free_port("127.0.0.1"), "test", parent.anchor, self.name_server.port)
        self._started: list[Any] = []
        pins = [base64.b64encode(self.keys[kind]).decode() for kind in pairs]
        self.config: dict[str, Any] = {
            "dns": {"servers": [f"127.0.0.1:{self.validator.port}"]},
            "direct": {
                "port": self.port,
                "allow_addresses": ["127.0.0.0/8"],
                "authorities": str(authority.certificate),
                "mta_sts_port": https,
            },
            "routes": [
                *({"to": [f"*.{mode}.plain.test"], "deliver": "direct", "tls": mode} for mode in ROUTED if "pin" not in mode),
                {"to": ["*.pin.plain.test"], "deliver": "direct", "tls": "pin", "pins": pins},
                {"to": ["*.wrong-pin.plain.test"], "deliver": "direct", "tls": "pin", "pins": ["A" * 43 + "="]},
            ],
            "tls": dict(zip(("certificate", "key"), map(str, make_certificate(root, ["mail.hq.example"])), strict=True)),
            "retry": {"first": "1h", "longest": "1h", "lifetime": "2h"},
        }  # fmt: skip

    def _zones(self) -> tuple[str, str]:
        signed: list[str] = []
        plain: list[str] = []
        for mode in ROWS.values():
            lines = signed if mode in SIGNED else plain
            for kind in KINDS:
                name = f"{kind}.{mode}"
                lines += [f"{name} MX 10 mx.{name}", f"mx.{name} A {ADDRESS[kind]}"]
                if mode in SIGNED:
                    lines.append(f"_{self.port}._tcp.mx.{name} TLSA {self._tlsa(mode, kind)}")
                elif mode.startswith("sts-"):
                    self._add_policy(lines, name, mode.removeprefix("sts-"))
        for odd in (*ODD, "odd-name"):
            plain += [f"{odd} MX 10 mx.{odd}", f"mx.{odd} A {ADDRESS['none']}", f'_mta-sts.{odd} TXT "v=STSv1; id=1"']
            plain.append(f"mta-sts.{odd} A {POLICY_ADDRESS}")
            self.pages[f"mta-sts.{odd}.plain.test"] = ODD.get(odd, Page(ENFORCE))
        signed += [
            f"chosen MX 10 mx.{KINDS[0]}.dane-ee",
            "chosen MX 20 mx.chosen",
            f"mx.chosen A {REQUIRING_ADDRESS}",
        ]
        signed.append(f"_{self.port}._tcp.mx.chosen TLSA 3 1 1 {self.keys['chosen'].hex()}")
        #  Aliases: inside what is signed, with records at its end only; and out of it, with records at its beginning.
        signed += ["aliased MX 10 mx.aliased", f"mx.aliased CNAME mx.{domain('dane-ee', 'self')}."]
        for name, key in (("leaving", self.keys["self"]), ("misled", b"\1" * 32)):
            signed += [f"{name} MX 10 mx.{name}", f"mx.{name} CNAME mx.{domain('nothing', 'self')}."]
            signed.append(f"_{self.port}._tcp.mx.{name} TLSA 3 1 1 {key.hex()}")
        page = f"https://mta-sts.{next(iter(ODD))}.plain.test:{self.policy_host.port}/reports"
        for name, address in (("by-mail", f"mailto:tls@{domain('nothing', 'none')}"), ("by-page", page)):
            plain += [f"{name} MX 10 mx.{name}", f"mx.{name} A {ADDRESS['good']}"]
            plain.append(f'_smtp._tls.{name} TXT "v=TLSRPTv1; rua={address}"')
        return "\n".join(signed) + "\n", "\n".join(plain) + "\n"

    def _tlsa(self, mode: str, kind: str) -> str:
        right = self.keys.get(kind, b"\1" * 32).hex()
        return {
            "dane-ee": f"3 1 1 {right}",
            "dane-other": f"3 1 1 {'17' * 32}",
            "dane-ta": f"2 1 1 {self.authority_key.hex()}",
            "dane-unusable": f"1 1 1 {right}",
            "dane-failing": f"3 1 1 {right}",
        }[mode]

    def _add_policy(self, lines: list[str], name: str, mode: str) -> None:
        lines += [f'_mta-sts.{name} TXT "v=STSv1; id=1"', f"mta-sts.{name} A {POLICY_ADDRESS}"]
        text = f"version: STSv1\nmode: {mode}\nmx: mx.{name}.plain.test\nmax_age: 86400\n"
        self.pages[f"mta-sts.{name}.plain.test"] = Page(text.encode())

    def start(self) -> World:
        for peer in (self.name_server, self.validator, self.policy_host, *self.far_ends, self.requiring):
            peer.start()
            self._started.append(peer)
        return self

    def stop(self) -> None:
        for peer in self._started:
            peer.stop()


def _options(pair: tuple[Path, Path] | None) -> tuple[str, ...]:
    return ("--certificate", str(pair[0]), "--key", str(pair[1])) if pair else ()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("strangers"))
    try:
        yield world.start()
    finally:
        world.stop()


@pytest.fixture
def office(stage: Stage, tmp_path: Path, world: World) -> Site:
    """A site that delivers directly, running."""
    site = stage.site(tmp_path)
    site.here["delivery"] = "direct"
    for name, value in world.config.items():
        site.config[name] = {**site.config[name], **value} if isinstance(site.config.get(name), dict) else value
    site.write_config()
    site.start("se")
    return site


def send(site: Site, recipients: list[str], fields: str = "", options: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", site.port, timeout=60) as client:
        if options:
            client.starttls()
        message = f"From: bert@{DOMAIN}\r\nSubject: x\r\n{fields}\r\nHello.\r\n"
        assert client.sendmail(f"bert@{DOMAIN}", recipients, message, options) == {}


def outcomes(site: Site, count: int) -> dict[str, dict[str, Any]]:
    """The event of each recipient, when all have one."""
    wanted = ("recipient-delivered", "recipient-deferred", "recipient-failed")

    def found() -> dict[str, dict[str, Any]] | None:
        events = {event["recipient"]: event for event in site.events() if event["event"] in wanted}
        return events if len(events) >= count else None

    return eventually(found, seconds=60, what=f"{count} recipients have an outcome")


def cell(event: dict[str, Any]) -> str:
    """The event in the words of the table."""
    if event["event"] != "recipient-delivered":
        return "waits" if event["event"] == "recipient-deferred" and " 4.7." in f" {event['reply']}" else str(event)
    reason = event.get("reason", "")
    if reason.startswith("TLSv1."):
        return "verified" if ", verified by " in reason else "unverified"
    return "clear" if not reason or reason.startswith("in clear") else reason


def table() -> dict[str, list[str]]:
    """The rows of docs/tls.md."""
    text = (ROOT / "docs" / "tls.md").read_text()
    rows = [[word.strip() for word in line.strip("|").split("|")] for line in re.findall(r"(?m)^\|.*\|$", text)]
    return {row[0]: row[1:] for row in rows if len(row) == 1 + len(KINDS) and row[0] in ROWS}


def test_the_table_of_the_documentation(world: World, office: Site) -> None:
    expected = table()
    assert list(expected) == list(ROWS)
    people = {f"a@{domain(mode, kind)}": (row, kind) for row, mode in ROWS.items() for kind in KINDS}
    send(office, list(people))
    seen = {row: [""] * len(KINDS) for row in ROWS}
    for who, event in outcomes(office, len(people)).items():
        row, kind = people[who]
        seen[row][KINDS.index(kind)] = cell(event)
    assert seen == expected


def test_dane_follows_an_alias(world: World, office: Site) -> None:
    """RFC 7672 §2.2.2: the records stand where the alias leads, or at its own name when only that is signed."""
    expected = {
        "a@aliased.signed.test": "verified",
        "a@leaving.signed.test": "verified",
        "a@misled.signed.test": "waits",
    }
    send(office, list(expected))
    assert {who: cell(event) for who, event in outcomes(office, len(expected)).items()} == expected


def test_a_page_that_is_no_policy_keeps_no_mail_back(world: World, office: Site) -> None:
    """D-09: missing, elsewhere, of another kind, 10 MB, of no sense, behind a certificate for another name."""
    names = [*ODD, "odd-name"]
    send(office, [f"a@{odd}.plain.test" for odd in names])
    seen = outcomes(office, len(names))
    assert {cell(event) for event in seen.values()} == {"clear"}
    reasons = {event["domain"].partition(".")[0]: event["reason"] for event in office.events("sts-policy-unusable")}
    assert reasons == {
        "odd-missing": "status 404",
        "odd-moved": "status 301",
        "odd-html": "it is not text/plain",
        "odd-large": "it is longer than 65536 octets",
        "odd-mode": "its mode is not enforce, testing or none",
        "odd-name": "the certificate of its host is for another name",
    }
    assert "mta-sts.good.sts-enforce.plain.test" not in world.policy_host.asked[-len(names) :]


def test_what_the_sender_says_of_tls_counts(world: World, office: Site) -> None:
    """RFC 8689: `TLS-Required: no` sets DANE and MTA-STS aside, and no route; REQUIRETLS wants proof, and the word."""
    waived = {
        f"a@{domain('dane-other', 'good')}": "verified",
        f"b@{domain('sts-enforce', 'expired')}": "unverified",
        f"c@{domain('verify', 'expired')}": "waits",
    }
    send(office, list(waived), "TLS-Required: No\r\n")
    assert {who: cell(event) for who, event in outcomes(office, len(waived)).items()} == waived
    required = {
        f"d@{domain('dane-ee', 'good')}": "5.7.30",
        f"e@{domain('nothing', 'good')}": "5.7.30",
        f"f@{domain('dane-ee', 'none')}": "5.7.10",
        f"g@{domain('sts-enforce', 'expired')}": "5.7.10",
    }
    send(office, list(required), options=("REQUIRETLS",))
    seen = outcomes(office, len(waived) + len(required))
    assert {who: seen[who]["reply"].split()[1] for who in required} == required


def test_requiretls_is_passed_on_by_the_host_that_offers_it(world: World, office: Site) -> None:
    """The better host is proved, and has TLS, but not the word."""
    who = "h@chosen.signed.test"
    send(office, [who], "X-Token: token-required-.\r\n", options=("REQUIRETLS",))
    event = outcomes(office, 1)[who]
    assert cell(event) == "verified" and event["host"].startswith(f"mx.chosen.signed.test[{REQUIRING_ADDRESS}]"), (
        event
    )
    [kept] = world.requiring.find("token-required-.")
    assert "REQUIRETLS" in kept.facts["options"] and kept.facts["tls"] and kept.facts["recipients"] == [who]
    assert not any(far_end.find("token-required-.") for far_end in world.far_ends)
    #  Without the word it is the better one's.
    send(office, [who.replace("h@", "i@")], "X-Token: token-unrequired-.\r\n")
    outcomes(office, 2)
    [kept] = world.far_ends[0].find("token-unrequired-.")
    assert "REQUIRETLS" not in kept.facts["options"]


def test_domains_that_ask_are_told_when_the_day_is_over(world: World, office: Site) -> None:
    """TLS-RPT: by mail and by HTTPS, about a day that was counted before a restart."""
    office.config["direct"]["tls_reports"] = True
    key = make_key("ed25519")
    (office.root / "reports.pem").write_bytes(key.as_pem())
    (office.root / "reports.pem").chmod(0o600)
    office.here["dkim"] = {"keys": [{"selector": "reports", "key_file": str(office.root / "reports.pem")}]}
    office.write_config()
    office.stop("e")
    office.start("e")
    undialled = {
        "good.dane-failing.signed.test": "dnssec-invalid",
        "odd-missing.plain.test": "sts-policy-fetch-error",
        "odd-name.plain.test": "sts-webpki-invalid",
        "odd-mode.plain.test": "sts-policy-invalid",
    }
    people = [f"a@{name}" for name in ("by-mail.plain.test", "by-page.plain.test", *undialled)]
    send(office, people)
    outcomes(office, len(people))
    office.stop("e")
    book = office.root / "state" / "tls-report.json"
    counted = json.loads(book.read_text())
    assert sorted(counted["domains"]) == sorted(who[2:] for who in people)
    found = {
        name: [failure[0] for _, _, failures in counted["domains"][name] for failure in failures]
        for name in undialled
    }
    assert all(kind in found[name] for name, kind in undialled.items()), found
    book.write_text(json.dumps({**counted, "day": "2026-01-01"}))
    office.start("e")
    mails = eventually(lambda: world.far_ends[-1].find("Report Domain: by-mail.plain.test"), seconds=60)
    #  RFC 8460 §3: unsigned reports by mail are not looked at.
    verifier = dkim.DKIM(mails[0].content, tlsrpt=True)
    assert verifier.verify(dnsfunc=lambda name, timeout=5: key.record.encode()) and verifier.selector == b"reports"
    part = mails[0].content.split(b"base64\r\n")[1].split(b"\r\n\r\n")[1]
    report = json.loads(gzip.decompress(base64.b64decode(part)))
    assert report["date-range"]["start-datetime"] == "2026-01-01T00:00:00Z"
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    [(kind, body)] = eventually(lambda: world.policy_host.given, seconds=60)
    assert kind == "application/tlsrpt+gzip"
    assert json.loads(gzip.decompress(body))["policies"][0]["policy"]["policy-domain"] == "by-page.plain.test"


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("dane-ee", "good", {"code": 0, "tls": "dane", "tlsa": 1, "proof": "verified by DANE", "mode": None}),
        ("dane-other", "good", {"code": 1, "tls": "dane", "tlsa": 1, "proof": "", "mode": None}),
        ("sts-enforce", "good", {"code": 0, "tls": "verify", "tlsa": 0, "proof": "verified by its certificate",
                                 "mode": "enforce"}),
        ("sts-enforce", "expired", {"code": 1, "tls": "verify", "tlsa": 0, "proof": "", "mode": "enforce"}),
        ("sts-testing", "expired", {"code": 0, "tls": "opportunistic", "tlsa": 0, "proof": "not verified",
                                    "mode": "testing"}),
        ("nothing", "none", {"code": 0, "tls": "opportunistic", "tlsa": 0, "proof": None, "mode": None}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_probe_tells_what_tls_comes_to(
    world: World, site: Site, mode: str, kind: str, expected: dict[str, Any]
) -> None:
    for name, value in world.config.items():
        site.config[name] = {**site.config[name], **value} if isinstance(site.config.get(name), dict) else value
    site.write_config()
    done = site.mercury("probe", domain(mode, kind), "--json")
    steps = {fact["step"]: fact for fact in map(json.loads, done.stdout.splitlines())}
    assert "Traceback" not in done.stderr, done.stderr
    visit, host = steps["visit"], steps["host"]
    assert (done.returncode, host["tls"], host["tlsa"]) == (expected["code"], expected["tls"], expected["tlsa"]), (
        steps
    )
    assert steps["mta-sts"]["mode"] == expected["mode"]
    assert visit["ready"] is (expected["code"] == 0), visit
    if visit["ready"] and expected["proof"]:
        assert visit["tls"].startswith("TLSv1.3 ") and expected["proof"] in visit["tls"], visit
        assert f"mx.{domain(mode, kind)}" in visit["certificate"]["names"], visit
        assert (visit["certificate"]["days"] >= 0) is (kind != "expired"), visit
    elif visit["ready"]:
        assert visit["tls"] is None and visit["certificate"] is None, visit
    else:
        assert visit["reason"], visit
    if mode in SIGNED:
        assert steps["mx"]["dnssec"] is True
