"""A message of this host becomes letters that are complete, and whose sender is who wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import parse
from shared.mail.envelope import Body, Notify, Return
from shared.mail.handwritten import Wish
from shared.routing.lane import Lane
from shared.service.injection import Counter, Unfit, Writer, compose, is_trusted

CONFIG = parse(
    "hostname: mail.hq.example\nlocal: {domains: [hq.example]}\nreceive: {max_message_size: 2000, limits: {recipients: 3}}\n",
    Path("/nowhere/mercury.yaml"),
)
COUNTER = Counter.of(CONFIG)
ANNA = Writer(1000, "anna", False)
ROOT = Writer(0, "root", True)


def letters(wish: Wish, raw: bytes = b"Subject: x\n\nhello\n", writer: Writer = ANNA):  # type: ignore[no-untyped-def]
    return compose(COUNTER, writer, wish, raw, "TEST-0001", 1790000000.0)


def test_what_every_message_must_have_is_added() -> None:
    [letter], message = letters(Wish(("bert",), full_name="Anna A."))
    assert message.startswith(
        b"Received: by mail.hq.example (Mercury) id TEST-0001\r\n\t(from uid 1000, anna);\r\n\t"
    )
    for line in (
        b'\r\nFrom: "Anna A." <anna@hq.example>\r\n',
        b"\r\nMessage-ID: <TEST-0001@mail.hq.example>\r\n",
        b"\r\nDate: ",
    ):
        assert line in message
    assert message.endswith(b"\r\n\r\nhello\r\n")
    assert letter.lane is Lane.LOCAL
    assert (str(letter.envelope.sender), str(letter.envelope.recipients[0].address)) == (
        "anna@hq.example",
        "bert@hq.example",
    )
    assert letter.envelope.client == "uid 1000 anna"


def test_what_is_there_is_kept() -> None:
    _, message = letters(Wish(("bert",)), b"From: x@y.example\nDate: then\nMessage-ID: <1@x>\n\n")
    assert message.count(b"From:") == message.count(b"Date:") == message.count(b"Message-ID:") == 1


@pytest.mark.parametrize(("field", "is_waived"), [("TLS-Required: No", True), ("TLS-Required: yes", False)])
def test_tls_required_no_is_kept(field: str, is_waived: bool) -> None:
    [letter], _ = letters(Wish(("bert",)), f"Subject: x\n{field}\n\nhello\n".encode())
    assert letter.envelope.tls_optional is is_waived


@pytest.mark.parametrize(
    ("writer", "wished", "sender"),
    [
        (ANNA, "boss@hq.example", "anna@hq.example"),
        (ANNA, "", "anna@hq.example"),
        (ANNA, None, "anna@hq.example"),
        (ROOT, "boss@hq.example", "boss@hq.example"),
        (ROOT, "boss", "boss@hq.example"),
        (ROOT, "<boss@hq.example>", "boss@hq.example"),
        (ROOT, "", ""),
        (ROOT, "<>", ""),
        (ROOT, None, "root@hq.example"),
        (Writer(77, "ünsafe", False), None, "uid-77@hq.example"),
    ],
)
def test_only_the_trusted_say_who_the_sender_is(writer: Writer, wished: str | None, sender: str) -> None:
    [letter], _ = letters(Wish(("bert",), wished), writer=writer)
    assert letter.envelope.sender_text == sender


def test_recipients_of_header_and_command_line_once_each_and_blind_ones_unnamed() -> None:
    raw = b"To: Bert <bert@hq.example>\nCc: bert@hq.example\nBcc: carl\n\nx\n"
    [letter], message = letters(Wish(("dora, bert@HQ.example",), by_header=True), raw)
    assert [str(one.address) for one in letter.envelope.recipients] == [
        "dora@hq.example",
        "bert@hq.example",
        "carl@hq.example",
    ]
    assert b"carl" not in message


def test_one_letter_for_each_lane() -> None:
    found, _ = letters(Wish(("bert", "x@away.example")))
    assert {letter.lane for letter in found} == {Lane.LOCAL, Lane.HOLD}
    assert {letter.envelope.id for letter in found} == {"TEST-0001"}


def test_what_it_takes_to_carry_it_is_known() -> None:
    [plain], _ = letters(Wish(("bert",)))
    [eight], _ = letters(Wish(("bert",)), "Subject: x\n\nä\n".encode())
    [utf8], _ = letters(Wish(("bert",)), "Subject: ä\n\nx\n".encode())
    assert [(one.envelope.body, one.envelope.smtputf8) for one in (plain, eight, utf8)] == [
        (Body.SEVEN_BIT, False), (Body.EIGHT_BIT, False), (Body.EIGHT_BIT, True),
    ]  # fmt: skip


def test_wishes_about_reports_are_kept() -> None:
    [letter], _ = letters(Wish(("bert",), notify="success, failure", ret="hdrs", envid="e1"))
    assert letter.envelope.recipients[0].notify == (Notify.SUCCESS, Notify.FAILURE)
    assert (letter.envelope.ret, letter.envelope.envid) == (Return.HEADERS, "e1")


@pytest.mark.parametrize(
    ("wish", "raw", "reason"),
    [
        (Wish(), b"", "no recipient"),
        (Wish(by_header=True), b"Subject: x\n\n", "names none"),
        (Wish(("a@-.x",)), b"", "no address"),
        (Wish(("a", "b", "c", "d")), b"", "more recipients"),
        (Wish(("a",)), b"x" * 2001, "larger"),
        (Wish(("a",)), b"Received: x\n" * 101, "circles"),
        (Wish(("a",), notify="never,failure"), b"", "alone"),
        (Wish(("a",), notify="maybe"), b"", "reports"),
        (Wish(("a",), ret="half"), b"", "returns"),
    ],
)
def test_what_cannot_be_taken_says_why(wish: Wish, raw: bytes, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        letters(wish, raw)


def test_who_is_trusted() -> None:
    assert (
        is_trusted(0, "root", {8}, ()) and is_trusted(8, "mercury", {8}, ()) and is_trusted(33, "www", {8}, ("www",))
    )
    assert not is_trusted(33, "www", {8}, ("mail",))
