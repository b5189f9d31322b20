"""The commands of a transaction: what a server can carry, and what never reaches a command line."""

from __future__ import annotations

import pytest
from client_words import BrokenContent, envelope, to
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return
from shared.mail.lacks import Lacks
from shared.mail.outcome import Failed
from shared.mail.reply import Reply
from shared.smtp.ehlo import Extensions, parse_ehlo
from shared.smtp.errand import Errand, plan_errand, render_path

CONTENT = BytesContent(b"Subject: x\r\n\r\nx\r\n")


def offer(*keywords: str) -> Extensions:
    return parse_ehlo(Reply(250, "", "\n".join(["mx.example", *keywords])))


def plan(mail: Envelope, *keywords: str, secure: bool = False) -> Errand:
    return plan_errand(mail, mail.recipients, CONTENT, offer(*keywords), secure)


def refusals(errand: Errand) -> set[tuple[int, str]]:
    assert all(isinstance(outcome, Failed) for outcome in errand.settled.values())
    return {(outcome.reply.code, outcome.reply.enhanced) for outcome in errand.settled.values()}


FULL = Envelope(
    "ID", Address("anna", "hq.example"),
    (Recipient(Address("bob", "x.example"), (Notify.SUCCESS, Notify.DELAY), "rfc822;Bob+2Bx@x.example"),),
    0.0, body=Body.EIGHT_BIT, ret=Return.HEADERS, envid="QQ+2B1",
)  # fmt: skip


def test_parameters_go_only_where_they_are_offered() -> None:
    errand = plan(FULL)
    assert (errand.mail, errand.rcpts) == (b"MAIL FROM:<anna@hq.example>\r\n", [b"RCPT TO:<bob@x.example>\r\n"])
    errand = plan(FULL, "SIZE", "8BITMIME", "DSN", "SMTPUTF8")
    assert errand.mail == b"MAIL FROM:<anna@hq.example> SIZE=17 BODY=8BITMIME RET=HDRS ENVID=QQ+2B1\r\n"
    assert errand.rcpts == [b"RCPT TO:<bob@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@x.example\r\n"]


def test_the_null_sender_and_the_bare_postmaster() -> None:
    errand = plan(Envelope("ID", None, (Recipient(Address("postmaster", "")),), 0.0))
    assert (errand.mail, errand.rcpts) == (b"MAIL FROM:<>\r\n", [b"RCPT TO:<postmaster>\r\n"])


@pytest.mark.parametrize(
    "keyword", ["SIZE 0", "SIZE", "SIZE abc", "SIZE -5", "SIZE ١٠", "SIZE 17", "SIZE 1" + "0" * 25, "SIZE +9"]
)
def test_a_size_that_is_no_limit(keyword: str) -> None:
    assert not plan(envelope("bob@x.example"), keyword).settled


def test_a_message_larger_than_the_server_takes_fails_here() -> None:
    assert refusals(plan(envelope("bob@x.example"), "SIZE 16")) == {(552, "5.3.4")}


def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    mail = envelope("bob@x.example", "büro@x.example")
    errand = plan(mail, "SMTPUTF8")
    assert errand.mail.endswith(b"> SMTPUTF8\r\n")
    assert errand.rcpts[1] == "RCPT TO:<büro@x.example>\r\n".encode()
    errand = plan(mail)
    assert refusals(errand) == {(553, "5.6.7")}
    assert (errand.rcpts, errand.recipients) == ([b"RCPT TO:<bob@x.example>\r\n"], [mail.recipients[0]])
    assert refusals(plan(envelope("bob@x.example", sender="büro@x.example"))) == {(553, "5.6.7")}


def test_a_domain_beyond_ascii_has_other_letters() -> None:
    errand = plan(envelope("bob@bücher.example", sender="anna@bücher.example"))
    assert errand.mail == b"MAIL FROM:<anna@xn--bcher-kva.example>\r\n"
    assert errand.rcpts == [b"RCPT TO:<bob@xn--bcher-kva.example>\r\n"]


class SmallAndBroken(BrokenContent):
    size = 100  # type: ignore[assignment]


def test_a_utf8_header_needs_smtputf8_and_an_ascii_one_does_not() -> None:
    mail = envelope("bob@x.example", smtputf8=True)
    assert not plan(mail).settled and b"SMTPUTF8" not in plan(mail).mail
    assert b"SMTPUTF8" in plan(mail, "SMTPUTF8").mail
    errand = plan_errand(mail, mail.recipients, BytesContent("Subject: é\r\n\r\n".encode()), offer(), False)
    assert errand.lacks == Lacks(eight_bit=True, utf8_header=True) and not errand.settled
    errand = plan_errand(mail, mail.recipients, BytesContent("Subject: é\r\n\r\n".encode()), offer("8BITMIME"), False)
    assert errand.lacks == Lacks(utf8_header=True)
    with pytest.raises(OSError):
        plan_errand(mail, mail.recipients, SmallAndBroken(), offer(), False)


@pytest.mark.parametrize("body", [Body.SEVEN_BIT, Body.EIGHT_BIT])
def test_an_eight_bit_message_wants_8bitmime_whatever_its_sender_said(body: Body) -> None:
    mail = envelope("bob@x.example", body=body)
    content = BytesContent("\r\né\r\n".encode())
    assert plan_errand(mail, mail.recipients, content, offer(), False).lacks == Lacks(True, False, True)
    assert plan_errand(mail, mail.recipients, content, offer("8BITMIME"), False).lacks is None
    assert b"BODY" not in plan(FULL).mail and plan(FULL).lacks is None, "it is ASCII"
    large = BytesContent(b"x" * 200_000)
    assert plan_errand(mail, mail.recipients, large, offer(), False).lacks is not None, "not looked at here"


def test_a_binary_body_needs_binarymime() -> None:
    mail = envelope("bob@x.example", body=Body.BINARY)
    assert plan(mail, "CHUNKING", "8BITMIME").lacks == Lacks(binary=True)
    assert b" BODY=BINARYMIME" in plan(mail, "CHUNKING", "BINARYMIME").mail


def test_requiretls_needs_tls_and_the_word() -> None:
    mail = envelope("bob@x.example", requiretls=True)
    assert refusals(plan(mail, "REQUIRETLS")) == {(550, "5.7.30")}
    assert refusals(plan(mail, secure=True)) == {(550, "5.7.30")}
    assert b" REQUIRETLS" in plan(mail, "REQUIRETLS", secure=True).mail


@pytest.mark.parametrize(
    "address",
    [
        Address("bob\r\nRCPT TO:<eve@x.example>", "x.example"),
        Address("bob\n", "x.example"),
        Address("bob\0", "x.example"),
        Address("bob\x85", "x.example"),
        Address("bob\u2028", "x.example"),
        Address("bob\udcff", "x.example"),
        Address("bob", "x.example\r\nDATA"),
        Address("bob", "x.example> SIZE=1"),
        Address("bob", "x example"),
        Address("bob", "x.example,y.example"),
        Address("bob", "@y.example:x.example"),
    ],
)
def test_an_address_cannot_leave_its_brackets(address: Address) -> None:
    for keywords in ((), ("SMTPUTF8",)):
        mail = Envelope("ID", None, (Recipient(address), *to("bob@x.example")), 0.0)
        errand = plan(mail, *keywords)
        assert refusals(errand) == {(553, "5.1.3")}
        assert errand.rcpts == [b"RCPT TO:<bob@x.example>\r\n"]
        assert refusals(plan(Envelope("ID", address, to("bob@x.example"), 0.0), *keywords)) == {(553, "5.1.7")}


@pytest.mark.parametrize("bad", ["a b", "a\r\nRSET", "a=b", "é", "\x7f"])
def test_a_parameter_cannot_leave_its_word(bad: str) -> None:
    recipient = Recipient(Address("bob", "x.example"), original=f"rfc822;{bad}")
    errand = plan(Envelope("ID", None, (recipient,), 0.0, envid=bad), "DSN")
    assert (errand.mail, errand.rcpts) == (b"MAIL FROM:<>\r\n", [b"RCPT TO:<bob@x.example>\r\n"])


@settings(derandomize=True)
@given(st.text(st.characters(categories=None)), st.text(st.characters(categories=None)))
def test_whatever_an_address_holds_a_command_is_one_line(local: str, domain: str) -> None:
    path = render_path(Address(local, domain), True)
    if isinstance(path, str):
        line = f"RCPT TO:<{path}>\r\n".encode()
        assert line.count(b"\n") == line.count(b"\r") == 1
        assert ">" not in path or path.startswith('"')
