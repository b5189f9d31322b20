"""MAIL and RCPT: every parameter well-formed or refused, never ignored."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.envelope import Body, Notify, Return
from shared.smtp.events import RecipientGiven, SenderGiven
from shared.smtp.grammar import SyntaxFault, parse_mail, parse_rcpt

A = Address("a", "b.example")

GOOD_MAIL = {
    "FROM:<a@b.example>": SenderGiven(A),
    "from:<a@b.example>": SenderGiven(A),
    "FROM: <a@b.example>": SenderGiven(A),
    "FROM:<>": SenderGiven(None),
    "FROM:<@x.example,@y.example:a@b.example>": SenderGiven(A),
    "FROM:<a@b.example> SIZE=100 BODY=8bitmime": SenderGiven(A, 100, Body.EIGHT_BIT),
    "FROM:<a@b.example>  SIZE=00000000000000000007 ": SenderGiven(A, 7),
    "FROM:<a@b.example> RET=hdrs ENVID=a+2Bb": SenderGiven(A, ret=Return.HEADERS, envid="a+2Bb"),
    "FROM:<a@b.example> AUTH=<>": SenderGiven(A),
    "FROM:<jörg@b.example> SMTPUTF8": SenderGiven(Address("jörg", "b.example"), smtputf8=True),
    'FROM:<"a>b"@b.example>': SenderGiven(Address("a>b", "b.example")),
}
BAD_MAIL = {
    "": 501, "TO:<a@b.example>": 501, "FROM:a@b.example": 501, "FROM:<a@b.example": 501, "FROM:<<a@b.example>>": 501,
    "FROM:<a@b.example>x": 501, "FROM <a@b.example>": 501, "FROM:<a@b..example>": 553, "FROM:<jörg@b.example>": 553,
    "FROM:<a@b.example> X=1": 555, "FROM:<a@b.example> NOTIFY=NEVER": 555, "FROM:<a@b.example> SIZE": 501,
    "FROM:<a@b.example> SIZE=0x10": 501, "FROM:<a@b.example> SIZE=1_000": 501, "FROM:<a@b.example> SIZE=+1": 501,
    "FROM:<a@b.example> SIZE=١٢": 501, "FROM:<a@b.example> SIZE=1 SIZE=1": 501, "FROM:<a@b.example> SIZE=" + "9" * 21: 501,
    "FROM:<a@b.example> BODY": 501, "FROM:<a@b.example> BODY=9BIT": 501, "FROM:<a@b.example> BODY=BINARY": 501,
    "FROM:<a@b.example> SMTPUTF8=yes": 501, "FROM:<a@b.example> RET=": 501, "FROM:<a@b.example> RET=FOO": 501,
    "FROM:<a@b.example> ENVID=a+GG": 501, "FROM:<a@b.example> ENVID=a+0D+0Ab": 501, "FROM:<a@b.example> ENVID=+00": 501,
    "FROM:<a@b.example> ENVID=" + "a" * 101: 501, "FROM:<a@b.example> AUTH=a b": 555, "FROM:<a@b.example> =1": 501,
    "FROM:<" + "a@b.example," * 30 + ">": 501,
}  # fmt: skip
GOOD_RCPT = {
    "TO:<a@b.example>": RecipientGiven(A),
    "TO:<PostMaster>": RecipientGiven(Address("postmaster", "")),
    "TO:<a@b.example> NOTIFY=success,DELAY": RecipientGiven(A, (Notify.SUCCESS, Notify.DELAY)),
    "TO:<a@b.example> ORCPT=rfc822;x+2By@b.example": RecipientGiven(A, (), "rfc822;x+2By@b.example"),
    "TO:<a@b.example> ORCPT=utf-8;jörg@b.example": RecipientGiven(A, (), "utf-8;jörg@b.example"),
}
BAD_RCPT = {
    "": 501, "FROM:<a@b.example>": 501, "TO:<>": 553, "TO:<a>": 553, "TO:<a@b.example> <c@d.example>": 501,
    "TO:<a@b.example> NOTIFY=": 501, "TO:<a@b.example> NOTIFY=NEVER,DELAY": 501, "TO:<a@b.example> NOTIFY=FOO": 501,
    "TO:<a@b.example> NOTIFY=DELAY,DELAY": 501, "TO:<a@b.example> NOTIFY=DELAY,": 501, "TO:<a@b.example> ORCPT=a@b": 501,
    "TO:<a@b.example> ORCPT=rfc822;x+0D+0ABcc:+20y": 501, "TO:<a@b.example> ORCPT=rfc822;x+00": 501,
    "TO:<a@b.example> ORCPT=rfc822;" + "a" * 600: 501, "TO:<a@b.example> ORCPT=rfc822;ü": 501, "TO:<a@b.example> SIZE=1": 555,
    "TO:<jörg@b.example>": 553,
}  # fmt: skip


@pytest.mark.parametrize("argument", GOOD_MAIL)
def test_mail(argument: str) -> None:
    assert parse_mail(argument) == GOOD_MAIL[argument]


@pytest.mark.parametrize("argument", BAD_MAIL)
def test_bad_mail(argument: str) -> None:
    with pytest.raises(SyntaxFault) as caught:
        parse_mail(argument)
    assert caught.value.reply.code == BAD_MAIL[argument]


@pytest.mark.parametrize("argument", GOOD_RCPT)
def test_rcpt(argument: str) -> None:
    assert parse_rcpt(argument, smtputf8=False) == GOOD_RCPT[argument]


@pytest.mark.parametrize("argument", BAD_RCPT)
def test_bad_rcpt(argument: str) -> None:
    with pytest.raises(SyntaxFault) as caught:
        parse_rcpt(argument, smtputf8=False)
    assert caught.value.reply.code == BAD_RCPT[argument]


@settings(derandomize=True, max_examples=400)
@given(st.text(max_size=60), st.sampled_from(["FROM:<", "FROM:<a@b.example> ", "TO:<", "", 'FROM:<"']))
def test_any_text_is_understood_or_refused(text: str, start: str) -> None:
    for parse in (parse_mail, lambda argument: parse_rcpt(argument, smtputf8=True)):
        try:
            parse(start + text)
        except SyntaxFault as fault:
            assert fault.reply.code >= 500


def test_an_address_without_a_domain_gets_that_of_home() -> None:
    """RFC 6409 §4.2: for a submission, and only where there is a home."""
    assert parse_mail("FROM:<anna> SIZE=5", "hq.example").sender == Address("anna", "hq.example")
    assert parse_mail("FROM:<>", "hq.example").sender is None
    assert parse_rcpt('TO:<"front desk">', False, "hq.example").recipient == Address("front desk", "hq.example")
    assert parse_rcpt("TO:<postmaster>", False, "hq.example").recipient == Address("postmaster", "")
    assert parse_rcpt("TO:<x@far.example>", False, "hq.example").recipient == Address("x", "far.example")
    with pytest.raises(SyntaxFault):
        parse_mail("FROM:<anna>")
