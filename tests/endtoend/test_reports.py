"""Reports as two parsers that know nothing of each other read them: Python's, and MIME-tools of Perl."""

from __future__ import annotations

import email
import email.policy
import signal
import smtplib
import subprocess
from pathlib import Path

import pytest
from clients import send
from deadline import eventually
from mailsite import Site
from peers import FarEnd, SmtpSink
from process import free_port
from setting import Stage
from test_bounce import reports, status

#  For each part its type, how it is encoded and its lines, decoded; and whatever the parser has to complain about.
READ = r"""
use MIME::Parser; use Encode;
my $parser = MIME::Parser->new; $parser->output_to_core(1); $parser->extract_nested_messages(0);
my $entity = $parser->parse(\*STDIN);
print "complaint: $_\n" for ($parser->results->errors, $parser->results->warnings);
print "subject: ", encode("UTF-8", decode("MIME-Header", $entity->head->get("Subject")));
print "type: ", $entity->mime_type, " ", $entity->head->mime_attr("content-type.report-type"), "\n";
for my $part ($entity->parts) {
  print "part: ", $part->mime_type, " ", $part->head->mime_encoding, "\n";
  print "line: $_\n" for split /\r?\n/, $part->bodyhandle->as_string;
}
"""


def read_by_perl(message: bytes) -> list[str]:
    return subprocess.run(
        ["perl", "-e", READ], input=message, capture_output=True, check=True, timeout=20
    ).stdout.decode().splitlines()  # fmt: skip


def bring(site: Site, far_end: FarEnd, language: str) -> None:
    site.here["language"] = language
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=60) as client:
        client.sendmail(
            "anna@hq.example",
            ["refused@elsewhere.example"],
            "Subject: token-report-.\r\n\r\nbody, Grüße\r\n".encode(),
            ("RET=HDRS", "ENVID=QQ+2B314159", "BODY=8BITMIME"),
            ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@elsewhere.example"),
        )
    eventually(lambda: reports(site, "anna"), what="a bounce in anna's mailbox")


@pytest.mark.parametrize(
    ("language", "subject", "word"),
    [
        ("en", "Your message could not be delivered", "The part before the @ is not known there."),
        ("de", "Ihre Nachricht konnte nicht zugestellt werden", "Suchen Sie nach einem Tippfehler in der Adresse."),
    ],
)
def test_both_parsers_read_the_same(site: Site, far_end: FarEnd, language: str, subject: str, word: str) -> None:
    bring(site, far_end, language)
    [report] = reports(site, "anna")
    assert not report.defects and not any(part.defects for part in report.walk())
    about_message, about_recipient = status(report)
    assert about_message["Original-Envelope-Id"] == "QQ+314159"
    assert about_recipient["Original-Recipient"] == "rfc822; first@elsewhere.example"
    assert about_recipient["Status"] == "5.1.1"
    words = next(report.iter_parts()).get_content()
    assert word in words

    lines = read_by_perl(next(m for m in site.mailbox("anna") if b"multipart/report" in m))
    assert not [line for line in lines if line.startswith("complaint")]
    assert f"subject: {subject}" in lines
    assert "type: multipart/report delivery-status" in lines
    types = [line.split()[1] for line in lines if line.startswith("part:")]
    assert types == ["text/plain", "message/delivery-status", "text/rfc822-headers"], "RET=HDRS"
    told = [line.removeprefix("line: ") for line in lines if line.startswith("line: ")]
    assert [line for line in words.splitlines() if line] == [line for line in told if line][: _count(words)]
    assert "Original-Envelope-Id: QQ+314159" in told and "Status: 5.1.1" in told
    assert any("token-report-." in line for line in told) and not any("body," in line for line in told)


def _count(words: str) -> int:
    return sum(1 for line in words.splitlines() if line)


def test_a_bounce_of_a_bounce_reaches_the_postmaster_and_ends_there(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    send(site.port, "", ["refused@elsewhere.example"], b"Subject: token-double-.\r\n\r\n")
    eventually(lambda: site.events("message-bounced"), what="a report to the postmaster")
    [event] = site.events("message-bounced")
    eventually(site.is_empty)
    [report] = [m for user in ("anna", "berta", "postmaster") for m in reports(site, user)]
    assert report["To"] == "postmaster@mail.hq.example"
    assert str(event["id"]) in report.as_string()
    story = site.mercury("queue", "trail", str(event["report"])).stdout
    assert f"cause={event['id']}" in story, "the report leads to its cause"
    assert str(event["report"]) in site.mercury("queue", "trail", str(event["id"])).stdout, "and the cause to it"


def test_a_postmaster_elsewhere_who_is_refused_makes_no_loop(site: Site, far_end: FarEnd) -> None:
    (site.root / "aliases").write_text("postmaster: refused@elsewhere.example\n")
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    send(site.port, "", ["refused@elsewhere.example"], b"Subject: token-treble-.\r\n\r\n")
    eventually(lambda: site.events("bounce-held"), what="the report is held, and makes no other")
    assert len(site.events("message-bounced")) == 1
    [path] = site.entries("hold")
    assert "treble" in path.read_text()


WISHES = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Bname@elsewhere.example")


@pytest.mark.parametrize("knows_dsn", [True, False], ids=["next hop with DSN", "next hop without"])
def test_wishes_are_passed_on_or_answered_here(site: Site, stage: Stage, tmp_path: Path, knows_dsn: bool) -> None:
    """RFC 3461 §5.2: a next hop that knows DSN is told all of it, of another we report that it has been relayed."""
    sink = SmtpSink(tmp_path, free_port("127.0.0.1"), *(() if knows_dsn else ("-N",)))
    stage.peer(sink)
    site.relay_to(sink.hop)
    site.write_config()
    site.start("sc")
    with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=60) as client:
        client.sendmail(
            "anna@hq.example", ["x@elsewhere.example"], b"Subject: token-wish-.\r\n\r\n",
            ("RET=HDRS", "ENVID=QQ+2B314159"), WISHES,
        )  # fmt: skip
    eventually(lambda: site.events("message-finished"), what="it is there")
    eventually(site.is_empty)
    [letter] = sink.find("token-wish-.")
    head = letter.decode()
    asked = [word in head for word in ("RET=HDRS", "ENVID=QQ+2B314159", *WISHES)]
    assert asked == [knows_dsn] * 4, head
    if knows_dsn:
        assert not reports(site, "anna"), "the next hop will tell"
        return
    [report] = reports(site, "anna")
    about_message, about_recipient = status(report)
    assert about_message["Original-Envelope-Id"] == "QQ+314159"
    assert about_recipient["Original-Recipient"] == "rfc822; first+name@elsewhere.example"
    assert (about_recipient["Action"], about_recipient["Status"][0]) == ("relayed", "2")


def test_a_sender_beyond_ascii_gets_a_global_report(site: Site, far_end: FarEnd) -> None:
    """RFC 6533: UTF-8 in the fields, and types of their own, as both parsers read them."""
    site.add_users("jürgen")
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    send(
        site.port, "jürgen@hq.example", ["refused-müller@elsewhere.example"],
        "Subject: token-global-. Grüße\r\n\r\n".encode(), ("SMTPUTF8", "BODY=8BITMIME"),
    )  # fmt: skip
    eventually(lambda: site.mailbox("jürgen"), what="a report")
    [raw] = site.mailbox("jürgen")
    report = email.message_from_bytes(raw, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "global-delivery-status"
    lines = read_by_perl(raw)
    assert not [line for line in lines if line.startswith("complaint")]
    types = [line.split()[1] for line in lines if line.startswith("part:")]
    assert types == ["text/plain", "message/global-delivery-status", "message/global"]
    assert "line: Final-Recipient: utf-8; refused-müller@elsewhere.example" in lines
    assert "line: Subject: token-global-. Grüße" in lines


def test_the_sender_is_warned_once_over_restarts_and_ways(site: Site) -> None:
    site.config["retry"].update({"warn_after": "2s"})
    site.write_config()
    site.start("sce")
    send(site.port, "anna@hq.example", ["x@elsewhere.example"], b"Subject: token-late-.\r\n\r\n")

    def attempts() -> int:
        return len(site.events("recipient-deferred"))

    eventually(lambda: reports(site, "anna"), what="a warning")
    assert status(reports(site, "anna")[0])[1]["Action"] == "delayed"
    site.stop("c")
    site.start("c")
    tried = attempts()
    eventually(lambda: attempts() > tried, what="attempts after the restart")
    site.here["delivery"] = "direct"
    site.write_config()
    for letter in "sce":
        site.daemons[letter].signal(signal.SIGHUP)
    eventually(lambda: site.entries("direct"), what="it goes another way")
    tried = attempts()
    eventually(lambda: attempts() > tried, what="attempts on the other way")
    assert len(reports(site, "anna")) == 1
