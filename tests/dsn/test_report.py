"""Reports as bytes: what Python's parser finds in them, and that nothing foreign can change their structure."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dsn.fate import Action, Fate
from shared.dsn.human import words_in
from shared.dsn.original import LONGEST_COPY, Original
from shared.dsn.report import Letterhead, render_delay, render_failure, render_success
from shared.mail.address import Address, parse_address
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.mail.reply import Reply

HEAD = Letterhead("mail.hq.example", "8R3N-L5AD", "<8R3N-L5AD.report@mail.hq.example>", 1_800_000_000.0)
MESSAGE = b"From: Anna <anna@hq.example>\r\nSubject: hello\r\n\r\nbody\r\n"
ORIGINAL = Original(MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4], MESSAGE)
REFUSED = Reply(550, "5.1.1", "no mailbox of that name here")
HOST = "mx.partner.example[192.0.2.1]:25"
TYPES = ("message/delivery-status", "message/global-delivery-status")


def who(text: str, *notify: Notify, original: str = "") -> Recipient:
    return Recipient(parse_address(text), notify, original)


def letter(sender: str = "anna@hq.example", **more: object) -> Envelope:
    return Envelope("7Q2M-K4ZC", parse_address(sender), (), 1_799_990_000.0, **more)  # type: ignore[arg-type]


def failed(text: str = "berta@partner.example", reply: Reply = REFUSED, host: str = HOST, **more: object) -> Fate:
    recipient = who(text, original=str(more.pop("original", "")))
    return Fate(recipient, Action.FAILED, reply, host, **more)  # type: ignore[arg-type]


def parse(report: bytes) -> tuple[EmailMessage, str, list[EmailMessage], EmailMessage]:
    """The whole, the words, the groups of fields, and the part that brings the message back."""
    message = cast(EmailMessage, email.message_from_bytes(report, policy=email.policy.default))
    assert message.get_content_type() == "multipart/report"
    assert not message.defects
    words, status, original = cast(list[EmailMessage], list(message.iter_parts()))
    assert status.get_content_type() in TYPES
    assert message.get_param("report-type") == status.get_content_subtype()
    groups = _groups(report, status)
    assert not any(part.defects for part in (words, status, original, *groups))
    return message, words.get_content(), groups, original


def _groups(report: bytes, status: EmailMessage) -> list[EmailMessage]:
    if status.get_content_type() == TYPES[0]:
        return cast(list[EmailMessage], [group for group in status.get_payload() if group.items()])
    #  The parser knows message/global-delivery-status for a single message only.
    part = report.split(b"Content-Type: message/global-delivery-status\r\n")[1].split(b"\r\n\r\n--=_")[0]
    return [
        cast(EmailMessage, email.message_from_bytes(group, policy=email.policy.SMTPUTF8))
        for group in part.split(b"\r\n\r\n")[1:]
    ]


def check_form(report: bytes) -> None:
    """What must hold of every report, whatever is in it."""
    assert report.count(b"\r\n") == report.count(b"\r") == report.count(b"\n")
    assert b"\0" not in report
    assert max(map(len, report.split(b"\r\n"))) <= 998
    header, _, body = report.partition(b"\r\n\r\n")
    assert (b"Content-Transfer-Encoding: 7bit" in header) == body.isascii()


def test_a_failure_says_everything_to_machines() -> None:
    fate = failed(original="rfc822;Berta+2Btag@partner.example")
    message, _, groups, _ = parse(render_failure(HEAD, letter(envid="QQ+2B314"), [fate], ORIGINAL))
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mail.hq.example>"
    assert message["To"] == "anna@hq.example"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == HEAD.message_id
    assert message["Date"].datetime.timestamp() == HEAD.date
    assert message["MIME-Version"] == "1.0"
    about, recipient = groups
    assert about["Reporting-MTA"] == "dns; mail.hq.example"
    assert about["Original-Envelope-Id"] == "QQ+314"
    assert about["X-Mercury-Queue-Id"] == "7Q2M-K4ZC"
    assert about["Arrival-Date"]
    assert recipient["Original-Recipient"] == "rfc822; Berta+tag@partner.example"
    assert recipient["Final-Recipient"] == "rfc822; berta@partner.example"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Remote-MTA"] == "dns; mx.partner.example"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no mailbox of that name here"
    assert recipient["Last-Attempt-Date"]


def test_a_failure_says_everything_to_people() -> None:
    _, words, _, _ = parse(render_failure(HEAD, letter(), [failed()], ORIGINAL))
    for needed in (
        "<berta@partner.example>",
        f"The mail server {HOST} refused it. It said:",
        "        550 5.1.1 no mailbox of that name here",
        "Look for a typing error in the address.",
        "7Q2M-K4ZC",
        "postmaster@mail.hq.example",
    ):
        assert needed in words


def test_our_own_words_are_not_put_into_a_foreign_mouth() -> None:
    reply = Reply(556, "5.1.10", "the domain takes no mail")
    _, words, (_, group), _ = parse(render_failure(HEAD, letter(), [failed(reply=reply, host="")], ORIGINAL))
    assert "This mail system found:" in words
    assert "mail server" not in words
    assert group["Remote-MTA"] is None
    assert group["Diagnostic-Code"] == "x-mercury; 556 5.1.10 the domain takes no mail"


def test_a_failure_by_time_quotes_the_last_answer() -> None:
    fate = failed(reply=Reply(451, "4.3.0", "busy"), tried_for=432000.0, maybe_delivered=True)
    _, words, (_, group), _ = parse(render_failure(HEAD, letter(), [fate], ORIGINAL))
    assert (group["Action"], group["Status"]) == ("failed", "5.4.7")
    assert group["Diagnostic-Code"] == "smtp; 451 4.3.0 busy"
    assert "It was tried for 5 days without success." in words
    assert "may have received" in words


def test_a_delay_says_until_when() -> None:
    fate = Fate(who("berta@partner.example"), Action.DELAYED, Reply(451, "", "busy"), HOST, 14400.0)
    until = HEAD.date + 345600
    _, words, (_, group), original = parse(render_delay(HEAD, letter(), [fate], Original(ORIGINAL.head), until))
    assert (group["Action"], group["Status"]) == ("delayed", "4.0.0")
    assert email.utils.parsedate_to_datetime(group["Will-Retry-Until"]).timestamp() == until
    assert "need not send it again" in words
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"body" not in original.get_payload(decode=True)


@pytest.mark.parametrize("action", [Action.DELIVERED, Action.RELAYED])
def test_a_success(action: Action) -> None:
    fate = Fate(who("berta@partner.example", Notify.SUCCESS), action, Reply(250, "2.1.5", "ok"), HOST)
    message, _, (_, group), _ = parse(render_success(HEAD, letter(), [fate], ORIGINAL))
    assert (group["Action"], group["Status"]) == (action, "2.1.5")
    assert "not" not in message["Subject"]


def test_the_message_comes_back_whole_and_unchanged() -> None:
    report = render_failure(HEAD, letter(), [failed()], ORIGINAL)
    _, _, _, original = parse(report)
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0)["Subject"] == "hello"
    assert MESSAGE in report


@pytest.mark.parametrize(
    "whole",
    [
        None,
        MESSAGE + b"x" * 80 + b"\r\n" * (LONGEST_COPY // 2),
        MESSAGE + b"x" * 999 + b"\r\n",
        MESSAGE + b"\0\r\n",
        MESSAGE + b"a\nb\r\n",
        MESSAGE + b"a\rb\r\n",
    ],
    ids=["only the header", "too long", "long line", "NUL", "bare LF", "bare CR"],
)
def test_only_the_header_comes_back(whole: bytes | None) -> None:
    report = render_failure(HEAD, letter(), [failed()], Original(ORIGINAL.head, whole))
    check_form(report)
    _, _, _, original = parse(report)
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"Subject: hello" in original.get_payload(decode=True)


def test_an_endless_header_is_cut() -> None:
    head = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1200) for number in range(1000)) + b"\r\n"
    report = render_failure(HEAD, letter(), [failed()], Original(head))
    check_form(report)
    assert len(report) < 25_000


def test_an_unreadable_message_is_reported_all_the_same() -> None:
    parse(render_failure(HEAD, letter(), [failed()], Original(b"")))


def test_an_ascii_sender_gets_ascii_about_an_internationalized_recipient() -> None:
    report = render_failure(HEAD, letter(), [failed("jürgen@bücher.example")], ORIGINAL)
    _, words, (_, group), _ = parse(report)
    assert group["Final-Recipient"] == r"utf-8; j\x{FC}rgen@b\x{FC}cher.example"
    assert "<jürgen@bücher.example>" in words
    assert report[: report.index(b"\r\n\r\n")].isascii()


def test_an_ascii_mailbox_in_an_internationalized_domain_has_an_ascii_name() -> None:
    _, _, (_, group), _ = parse(render_failure(HEAD, letter(), [failed("berta@bücher.example")], ORIGINAL))
    assert group["Final-Recipient"] == "rfc822; berta@xn--bcher-kva.example"


def test_an_internationalized_sender_gets_utf_8() -> None:
    head = "Subject: grüß dich\r\n\r\n".encode()
    cause = letter("jürgen@bücher.example", smtputf8=True)
    fate = failed("ελένη@bücher.example", original="utf-8;ελένη@bücher.example")
    report = render_failure(HEAD, cause, [fate], Original(head, head + b"body\r\n"))
    check_form(report)
    message, _, _, original = parse(report)
    assert message["To"] == "jürgen@bücher.example"
    assert "Final-Recipient: utf-8; ελένη@bücher.example\r\n".encode() in report
    assert "Original-Recipient: utf-8; ελένη@bücher.example\r\n".encode() in report
    assert original.get_content_type() == "message/global"


def test_a_boundary_that_was_guessed_is_not_used() -> None:
    body = MESSAGE + b"--=_8R3N-L5AD.0--\r\n--=_8R3N-L5AD.1\r\n"
    _, _, _, original = parse(render_failure(HEAD, letter(), [failed()], Original(ORIGINAL.head, body)))
    assert "8R3N-L5AD.1" in original.get_payload(0).get_content()


def test_a_reply_that_plays_a_report_stays_a_reply() -> None:
    text = "no\r\n\r\n--=_8R3N-L5AD.0\r\nAction: delivered\nFinal-Recipient: rfc822; x@y\x1b[31m\u2028\x85"
    _, words, groups, _ = parse(render_failure(HEAD, letter(), [failed(reply=Reply(550, "5.0.0", text))], ORIGINAL))
    assert len(groups) == 2
    assert groups[1]["Action"] == "failed"
    assert "\x1b" not in words


def test_a_reply_without_end_is_cut() -> None:
    reply = Reply(550, "5.0.0", "\n".join(["x" * 5000] * 100))
    report = render_failure(HEAD, letter(), [failed(reply=reply)], ORIGINAL)
    check_form(report)
    assert len(report) < 40_000


texts = st.text(max_size=60) | st.text(alphabet="\r\n\0\x1b-=_: ;+<>\u2028\x85é\u202e", max_size=60)
addresses = st.builds(Address, texts, st.sampled_from(["partner.example", "bücher.example", "[192.0.2.1]"]))
replies = st.builds(Reply, st.integers(400, 599), st.just(""), texts | st.builds(lambda text: text * 40, texts))
fates = st.builds(
    Fate,
    st.builds(Recipient, addresses, st.just(()), texts | st.builds("{};{}".format, texts, texts)),
    st.sampled_from(Action),
    replies,
    texts,
    st.sampled_from([0.0, 432000.0]),
    st.booleans(),
)
originals = st.builds(Original, st.binary(max_size=200), st.none() | st.binary(max_size=200))
causes = st.builds(
    Envelope,
    st.just("7Q2M-K4ZC"),
    addresses,
    st.just(()),
    st.floats(allow_nan=True),
    smtputf8=st.booleans(),
    envid=texts,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(causes, st.lists(fates, min_size=1, max_size=4), originals)
def test_nothing_foreign_breaks_the_structure(cause: Envelope, some: list[Fate], original: Original) -> None:
    for report in (
        render_failure(HEAD, cause, some, original),
        render_delay(HEAD, cause, some, original, HEAD.date),
        render_success(HEAD, cause, some, original),
    ):
        check_form(report)
        message, _, groups, third = parse(report)
        assert len(groups) == 1 + len(some)
        assert [group["Action"] for group in groups[1:]] == [fate.action for fate in some]
        assert all(group["Final-Recipient"] for group in groups[1:])
        assert len(message.get_all("To")) == len(message.get_all("Subject")) == 1
        assert third.get_content_type() in (
            "message/rfc822",
            "message/global",
            "text/rfc822-headers",
            "message/global-headers",
        )


def test_a_report_in_german_is_german_and_reads_the_same_to_machines() -> None:
    german = replace(HEAD, words=words_in("de"))
    message, words, groups, _ = parse(render_delay(german, letter(), [delayed()], ORIGINAL, 1_800_100_000.0))
    assert message["Subject"] == "Ihre Nachricht verspätet sich, Sie müssen noch nichts tun"
    assert "Es wird seit 4 Stunden versucht." in words and "Ihre Nachricht heißt dort 7Q2M-K4ZC" in words
    assert groups[1]["Action"] == "delayed"
    assert message["Content-Language"] is None
    assert next(message.iter_parts())["Content-Language"] == "de"


def test_a_report_about_mail_without_a_sender_is_for_the_postmaster() -> None:
    cause = replace(letter(), sender=None)
    message, words, groups, _ = parse(render_failure(HEAD, cause, [failed()], ORIGINAL))
    assert message["To"] == "postmaster@mail.hq.example" or message["To"] == "<postmaster@mail.hq.example>"
    assert message["Subject"] == "A report could not be delivered"
    assert "nobody to send it back to" in words and groups[1]["Action"] == "failed"


def delayed() -> Fate:
    return Fate(who("berta@partner.example"), Action.DELAYED, Reply(451, "4.3.0", "busy"), HOST, 14400.0)
