"""TLS reports: what is counted (tls_report.py), what is kept, and who is told when the day is over (report_desk.py)."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from fakes.zones import FakeResolver

from mercury_e.dane import Dane
from mercury_e.demand import Demand, Finding, decide_hop
from mercury_e.mta_sts import Mode, Policy, PolicyError
from mercury_e.mx import Target
from mercury_e.policies import Known
from mercury_e.policy_page import PageUnusable
from mercury_e.report_desk import ReportDesk
from mercury_e.tls_report import DayBook, read_addresses
from shared.dns.answers import Trouble
from shared.mail.address import parse_address
from shared.mail.envelope import Recipient
from shared.mail.outcome import Delivered
from shared.mail.reply import Reply
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls, Trust
from shared.smtp.client_events import Ended, Finished, Security
from shared.smtp.judge import End
from shared.transport.dial import Unreached

NOON = 1_795_435_200.0  #  2026-11-23 12:00 UTC
DAY = 86400.0
HOP = NextHop("mx.one.example", 25, Tls.OPPORTUNISTIC, addresses=("192.0.2.1",))
GOOD = Security("TLSv1.3", "TLS_AES_256_GCM_SHA384", "its certificate")
DOUBT = Security("TLSv1.3", "TLS_AES_256_GCM_SHA384", doubt="certificate has expired")
POLICY = Known("1", NOON, "version: STSv1\nmode: testing\n", Policy(Mode.TESTING, ("mx.one.example",), 86400))


@pytest.mark.parametrize(
    ("records", "addresses"),
    [
        (["v=TLSRPTv1;rua=mailto:a@x.example"], ("mailto:a@x.example",)),
        (
            ["v=TLSRPTv1; rua=https://x.example/r , mailto:b@x.example;"],
            ("https://x.example/r", "mailto:b@x.example"),
        ),
        (["v=TLSRPTv1; rua=ftp://x.example, http://x.example"], ()),
        (["v=TLSRPTv1; rua=mailto:a@x.example\r\nBcc: c@x.example"], ()),
        (["v=TLSRPTv1;rua=mailto:a@x.example", "v=TLSRPTv1;rua=mailto:b@x.example"], ()),
        (["v=TLSRPTv2;rua=mailto:a@x.example"], ()),
        ([], ()),
    ],
)
def test_where_reports_are_wanted(records: list[str], addresses: tuple[str, ...]) -> None:
    assert read_addresses(records) == addresses


class Office:
    """A desk with a clock, and what left it. Addresses in `broken` take nothing."""

    def __init__(self, folder: Path, record: str = "v=TLSRPTv1; rua=mailto:tls@one.example") -> None:
        self.now = NOON
        self.chance = 0.0
        self.known: dict[str, Known] = {}
        self.broken: set[str] = set()
        self.mails: list[tuple[str, bytes]] = []
        self.posts: list[tuple[str, bytes]] = []
        self._folder = folder
        self._resolver = FakeResolver({"_smtp._tls.one.example": {"TXT": [record]}})
        self.desk = self.opened()

    def opened(self) -> ReportDesk:
        self.desk = ReportDesk(self._folder, self._resolver, self.known.get, self, "mail.hq.example",
                               "postmaster@hq.example", lambda: self.now, chance=lambda: self.chance)  # fmt: skip
        return self.desk

    async def mail(self, address: str, message: bytes) -> None:
        if address in self.broken:
            raise OSError("full")
        self.mails.append((address, message))

    async def https(self, url: str, body: bytes) -> None:
        if url in self.broken:
            raise OSError("status 500")
        self.posts.append((url, body))

    def note(self, result: Finished | Unreached, hop: NextHop = HOP, domain: str = "one.example") -> None:
        self.desk.note(Leg("x", (Recipient(parse_address(f"a@{domain}")),), (hop,)), hop, result)

    def turn(self, later: float = DAY) -> None:
        self.now += later
        asyncio.run(self.desk.turn())

    def report(self) -> dict[str, Any]:
        [(_, raw)] = self.mails
        message = message_from_bytes(raw, policy=policy.default)
        assert message.get_content_type() == "multipart/report" and message["TLS-Required"] == "No"
        text, part = message.iter_parts()
        assert text.get_content_type() == "text/plain" and part.get_content_type() == "application/tlsrpt+gzip"
        report: dict[str, Any] = json.loads(gzip.decompress(part.get_payload(decode=True)))
        return report


def over(security: Security | None, words: str = "") -> Finished:
    who = Recipient(parse_address("a@one.example"))
    return Finished({who: Delivered(Reply(250, "2.0.0", "ok"), detail=words)}, security=security)


def lost(end: End, words: str = "") -> Unreached:
    return Unreached(Ended(end, None, words), "mx.one.example")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_day_is_told_the_day_after_and_once(office: Office) -> None:
    for _ in range(3):
        office.note(over(GOOD))
    office.note(lost(End.NO_TLS))
    office.turn(3600)
    assert not office.mails
    office.turn()
    report = office.report()
    assert report["date-range"] == {"start-datetime": "2026-11-23T00:00:00Z", "end-datetime": "2026-11-23T23:59:59Z"}
    assert report["organization-name"] == "mail.hq.example" and report["contact-info"] == "postmaster@hq.example"
    assert report["report-id"] == "2026-11-23.one.example@mail.hq.example"
    [told] = report["policies"]
    assert told["policy"] == {"policy-type": "no-policy-found", "policy-domain": "one.example"}
    assert told["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 1}
    assert told["failure-details"] == [
        {
            "result-type": "starttls-not-supported",
            "receiving-mx-hostname": "mx.one.example",
            "receiving-ip": "192.0.2.1",
            "failed-session-count": 1,
        }
    ]
    office.turn()
    assert len(office.mails) == 1


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (lost(End.TLS, "certificate verify failed (certificate has expired)"), "certificate-expired"),
        (lost(End.TLS, "the certificate does not name mx.one.example"), "certificate-host-mismatch"),
        (lost(End.TLS, "certificate verify failed (self-signed certificate)"), "certificate-not-trusted"),
        (
            lost(End.TLS, "certificate verify failed (unable to get local issuer certificate)"),
            "certificate-not-trusted",
        ),
        (
            lost(End.TLS, "its certificate does not lead to the authority that its TLSA records name"),
            "certificate-not-trusted",
        ),
        (
            lost(End.TLS, "its certificate does not name it, as its TLSA records of usage 2 demand"),
            "certificate-host-mismatch",
        ),
        (lost(End.TLS, "its certificate is none that its TLSA records speak of"), "validation-failure"),
        (over(None, "in clear: TLS is not offered"), "starttls-not-supported"),
        (over(None, "in clear: TLS failed (waited 60 s for the handshake)"), "validation-failure"),
        (over(DOUBT), ""),
        (lost(End.UNREACHABLE), None),
    ],
)
def test_how_tls_failed(office: Office, result: Finished | Unreached, kind: str | None) -> None:
    office.note(result)
    office.turn()
    if kind is None:
        assert not office.mails
        return
    [told] = office.report()["policies"]
    assert [each["result-type"] for each in told.get("failure-details", ())] == ([kind] if kind else [])


def test_a_policy_in_testing_tells_what_it_would_have_kept_back(office: Office) -> None:
    office.known["one.example"] = POLICY
    office.note(over(DOUBT))
    office.turn()
    [told] = office.report()["policies"]
    assert told["policy"] == {
        "policy-type": "sts",
        "policy-string": ["version: STSv1", "mode: testing"],
        "policy-domain": "one.example",
        "mx-host": ["mx.one.example"],
    }
    assert told["failure-details"][0]["result-type"] == "certificate-expired"


def test_dane_is_told_with_its_records(office: Office) -> None:
    trust = Trust(associations=((3, 1, 1, b"\xab" * 32),))
    office.note(over(GOOD), NextHop("mx.one.example", 25, Tls.DANE, trust=trust))
    office.turn()
    [told] = office.report()["policies"]
    assert told["policy"] == {
        "policy-type": "tlsa",
        "policy-string": ["3 1 1 " + "ab" * 32],
        "policy-domain": "mx.one.example",
    }


def test_records_of_which_none_can_be_used_are_told_although_the_mail_went(office: Office) -> None:
    """RFC 8460 §4.3.2.1: the owner learns of it from nobody else, as nothing is kept back."""
    target = Target("mx.one.example", ("192.0.2.1",))
    hop = decide_hop(target, 25, Demand(is_proved=True), Dane("tlsa.one.example", ()), "one.example")
    assert isinstance(hop, NextHop) and hop.tls is Tls.ENCRYPT
    office.note(over(GOOD), hop)
    office.note(lost(End.NO_TLS), hop)
    office.turn()
    [told] = office.report()["policies"]
    assert told["policy"] == {"policy-type": "tlsa", "policy-string": [], "policy-domain": "tlsa.one.example"}
    assert told["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 2}
    assert [each["result-type"] for each in told["failure-details"]] == ["tlsa-invalid", "starttls-not-supported"]


def test_counts_outlive_a_restart_and_a_day_that_ended_meanwhile_is_told(office: Office) -> None:
    office.note(over(GOOD))
    office.note(lost(End.NO_TLS))
    office.turn(60)
    office.now += 2 * DAY
    office.opened()
    office.turn(0)
    assert office.report()["policies"][0]["summary"]["total-failure-session-count"] == 1


def test_reports_leave_some_hours_after_midnight_not_all_at_once(office: Office) -> None:
    office.chance = 0.5
    office.opened()
    office.note(over(GOOD))
    office.turn(DAY / 2 + 3600)
    assert not office.mails
    office.note(over(GOOD))
    office.opened().save()
    office.turn(3700)
    assert office.report()["date-range"]["start-datetime"] == "2026-11-23T00:00:00Z"
    office.turn(0)
    assert len(office.mails) == 1


def test_a_stop_in_the_middle_loses_nobody_and_tells_nobody_twice(office: Office) -> None:
    office._resolver.zone["_smtp._tls.two.example"] = office._resolver.zone["_smtp._tls.one.example"]
    for domain in ("one.example", "two.example"):
        office.note(over(GOOD), domain=domain)

    async def stopped_at_the_second() -> None:
        desk, mails = office.desk, office.mail

        async def mail(address: str, message: bytes) -> None:
            if office.mails:
                raise asyncio.CancelledError
            await mails(address, message)

        office.mail = mail  # type: ignore[method-assign]
        office.now += DAY
        try:
            await desk.turn()
        except asyncio.CancelledError:
            desk.save()
        office.mail = mails  # type: ignore[method-assign]

    asyncio.run(stopped_at_the_second())
    assert len(office.mails) == 1
    office.opened()
    office.turn(60)
    office.turn(60)
    told = [message.partition(b"TLS-Report-Domain: ")[2].partition(b"\r")[0] for _, message in office.mails]
    assert told == [b"one.example", b"two.example"]


def test_the_first_address_that_takes_it_is_enough(tmp_path: Path) -> None:
    office = Office(tmp_path, "v=TLSRPTv1; rua=https://one.example/r,mailto:tls@one.example,mailto:more@one.example")
    office.broken = {"https://one.example/r"}
    office.note(over(GOOD))
    office.turn()
    assert [address for address, _ in office.mails] == ["tls@one.example"]
    office.broken.clear()
    office.note(over(GOOD))
    office.turn()
    [(_, body)] = office.posts
    assert json.loads(gzip.decompress(body))["policies"] and len(office.mails) == 1


def test_who_did_not_ask_is_not_told_and_what_is_off_is_not_counted(office: Office) -> None:
    office.note(over(GOOD), domain="two.example")
    office.note(over(None), NextHop("mx.one.example", 25, Tls.OFF))
    office.turn()
    assert not office.mails


TLSA = Dane("mx.one.example", ())
ENFORCED = Policy(Mode.ENFORCE, ("other.example",), 86400)


@pytest.mark.parametrize(
    ("demand", "finding", "kind", "type"),
    [
        (Demand(is_proved=True), Trouble("bogus"), "dnssec-invalid", "tlsa"),
        (Demand(Tls.DANE, is_proved=True), None, "dane-required", "tlsa"),
        (Demand(Tls.DANE, is_proved=True), TLSA, "tlsa-invalid", "tlsa"),
        (Demand(policy=ENFORCED), None, "validation-failure", "sts"),
    ],
)
def test_a_host_that_is_left_out_undialled_is_told(
    office: Office, demand: Demand, finding: Finding, kind: str, type: str
) -> None:
    office.known["one.example"] = replace(POLICY, policy=ENFORCED)
    words = decide_hop(Target("mx.one.example", ("192.0.2.1",)), 25, demand, finding, "one.example")
    assert isinstance(words, str)
    office.desk.note_left_out("one.example", "mx.one.example", demand, finding, words)
    office.turn()
    [told] = office.report()["policies"]
    assert told["policy"]["policy-type"] == type
    assert told["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
    assert told["failure-details"] == [
        {
            "result-type": kind,
            "receiving-mx-hostname": "mx.one.example",
            "failed-session-count": 1,
            "failure-reason-code": words,
        }
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PageUnusable("status 404"), "sts-policy-fetch-error"),
        (PageUnusable("the certificate of its host is for another name", is_forged=True), "sts-webpki-invalid"),
        (PolicyError("its version is not STSv1"), "sts-policy-invalid"),
    ],
)
def test_a_policy_that_cannot_be_had_is_told(office: Office, error: PageUnusable | PolicyError, kind: str) -> None:
    office.desk.note_fetch("one.example", error)
    office.known["one.example"] = POLICY
    office.desk.note_fetch("one.example", error)
    office.turn()
    first, second = office.report()["policies"]
    assert first["policy"] == {"policy-type": "sts", "policy-string": [], "policy-domain": "one.example"}
    assert second["policy"]["mx-host"] == ["mx.one.example"], "the one that holds"
    for told in (first, second):
        assert told["failure-details"] == [
            {"result-type": kind, "failed-session-count": 1, "failure-reason-code": str(error)}
        ]


def test_a_policy_in_testing_tells_of_a_host_that_it_does_not_name(office: Office) -> None:
    office.known["one.example"] = POLICY
    office.note(over(GOOD), NextHop("mx.two.example", 25, Tls.OPPORTUNISTIC, addresses=("192.0.2.2",)))
    office.turn()
    [told] = office.report()["policies"]
    assert told["failure-details"][0]["result-type"] == "validation-failure"
    assert told["failure-details"][0]["receiving-mx-hostname"] == "mx.two.example"


@pytest.mark.parametrize("content", ["", "[]", '{"day": "2026-11-22", "domains": {"x": 3}}'])
def test_a_file_that_cannot_be_read_begins_anew(office: Office, tmp_path: Path, content: str) -> None:
    (tmp_path / "tls-report.json").write_text(content)
    office.opened()
    office.turn(60)
    assert DayBook.from_text((tmp_path / "tls-report.json").read_text()).day == "2026-11-23"
