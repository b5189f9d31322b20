"""New mail of our own people: bound to its login, completed, and otherwise left as it is."""

from __future__ import annotations

from typing import Any

import pytest

from mercury_s.local.aliases import parse_aliases
from mercury_s.local.directory import Directory
from mercury_s.policy.identity import Binding, IdentityRules
from mercury_s.policy.verdict import Refuse
from mercury_s.submission import Completion, Submitter
from shared.config.account import Account
from shared.mail.address import Address, parse_address

ANNA = parse_address("anna@hq.example")
ALIASES = "info: anna\nteam: anna, bert\nboss: bert\nloop: loop2\nloop2: loop\n@old.example: anna\n"
LACKING = Completion("Mon, 23 Nov 2026 12:00:00 +0000", "<ID@mx.hq.example>", ANNA)
WHOLE = b"Date: x\r\nMessage-ID: <1@x>\r\n"


def submitter(login: Address | None = ANNA, **rules: Any) -> Submitter:
    accounts = {f"{name}@hq.example": Account(parse_address(f"{name}@hq.example")) for name in ("anna", "bert")}
    aliases = parse_aliases(ALIASES, "aliases")
    directory = Directory(["hq.example", "old.example"], lambda: accounts, lambda: aliases)
    return Submitter(directory, IdentityRules(**rules), "hq.example", login)


def completed(header: bytes, who: Submitter | None = None, lacking: Completion = LACKING) -> bytes:
    done = (who or submitter()).complete(header, lacking)
    assert not isinstance(done, Refuse), done
    return done


OWN = ["anna@hq.example", "ANNA@HQ.example", "anna+news@hq.example", "info@hq.example", "team@hq.example",
       "any@old.example"]  # fmt: skip
FOREIGN = ["bert@hq.example", "boss@hq.example", "nobody@hq.example", "anna@far.example", "loop@hq.example",
           '"anna@hq.example"@far.example']  # fmt: skip


@pytest.mark.parametrize("address", OWN)
def test_own_addresses_may_be_used(address: str) -> None:
    assert submitter().bind_sender(parse_address(address)) == parse_address(address)


@pytest.mark.parametrize("address", FOREIGN)
def test_foreign_addresses_are_refused_with_a_text_that_helps(address: str) -> None:
    refusal = submitter().bind_sender(parse_address(address))
    assert isinstance(refusal, Refuse)
    assert refusal.reply.code == 550
    assert "anna@hq.example" in refusal.reply.text
    assert "choose your own address" in refusal.reply.text


@pytest.mark.parametrize("address", FOREIGN)
def test_or_rewritten(address: str) -> None:
    assert submitter(sender=Binding.REWRITE).bind_sender(parse_address(address)) == ANNA


@pytest.mark.parametrize("address", FOREIGN)
def test_or_let_be(address: str) -> None:
    assert submitter(sender=Binding.ANY).bind_sender(parse_address(address)) == parse_address(address)


def test_a_list_gives_more() -> None:
    granted = {"anna@hq.example": frozenset({"bert@hq.example"})}
    assert submitter(granted=granted).bind_sender(parse_address("bert@hq.example")) == parse_address(
        "bert@hq.example"
    )
    assert isinstance(submitter(granted=granted).bind_sender(parse_address("boss@hq.example")), Refuse)


def test_reports_have_no_sender_and_a_site_network_is_bound_to_nothing() -> None:
    assert submitter().bind_sender(None) is None
    scanner = parse_address("scanner@far.example")
    assert submitter(login=None).bind_sender(scanner) == scanner


# ---- the header ----------------------------------------------------------------------------------------------------


def test_a_header_that_lacks_nothing_is_not_touched() -> None:
    header = b'X-Odd :\t 1\r\nFROM:  "Berg, Anna"\r\n <anna@hq.example> (me)\r\n' + WHOLE + b"\r\n"
    assert completed(header) == header


def test_what_is_missing_is_added_at_the_end() -> None:
    assert completed(b"Subject: x\r\n\r\n") == (
        b"Subject: x\r\nFrom: anna@hq.example\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <ID@mx.hq.example>\r\n\r\n"
    )


def test_a_report_without_from_gets_that_of_the_login() -> None:
    no_sender = Completion(LACKING.date, LACKING.message_id, None)
    assert b"From: anna@hq.example\r\n" in completed(b"Subject: x\r\n\r\n", lacking=no_sender)
    assert b"From" not in completed(b"Subject: x\r\n\r\n", submitter(login=None), no_sender)


@pytest.mark.parametrize("header", [b"", b"hello\r\n", b"hello\r\n\r\nSubject: y\r\n", b"\r\n"])
def test_text_without_a_header_stays_text(header: bytes) -> None:
    """It must not become a part of the field above it."""
    done = completed(header)
    end = done.index(b"\r\n\r\n") + 4 if header else len(done)
    assert done.startswith(b"From: anna@hq.example\r\nDate: ")
    assert done[end:] == header.removeprefix(b"\r\n")


def test_a_chunk_that_ends_in_its_header() -> None:
    assert completed(b"From: anna@hq.example\r\n" + WHOLE + b"Bcc: x@y.example") == (
        b"From: anna@hq.example\r\n" + WHOLE
    )
    assert completed(b"From: anna").startswith(b"From: anna@hq.example\r\nDate:")
    assert completed(b"Subject: x").startswith(b"Subject: x\r\nFrom:")


def test_bcc_is_removed_however_it_is_written() -> None:
    header = b"From: anna@hq.example\r\nBcc: secret@far.example,\r\n\tmore@far.example\r\nbCC : x\r\n" + WHOLE
    header += b"Resent-Bcc: y\r\nX-Bcc: stays\r\n\r\n"
    assert completed(header) == b"From: anna@hq.example\r\n" + WHOLE + b"X-Bcc: stays\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"anna", b"anna@hq.example"),
        (b"Anna Berg <anna> (me)", b"Anna Berg <anna@hq.example> (me)"),
        (b"anna, Bert\r\n <bert>", b"anna@hq.example, Bert\r\n <bert@hq.example>"),
        (b"J\xe9 <anna>", b"J\xe9 <anna@hq.example>"),
        ("Jürgen <anna>".encode(), "Jürgen <anna@hq.example>".encode()),
        (b'"front desk"', b'"front desk"@hq.example'),
    ],
)
def test_an_address_without_a_domain_gets_ours(before: bytes, after: bytes) -> None:
    done = completed(b"From: " + before + b"\r\n" + WHOLE + b"Sender: anna\r\n\r\n")
    assert done == b"From: " + after + b"\r\n" + WHOLE + b"Sender: anna@hq.example\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"From: Anna Berg\r\n", "From field has a name without an address"),
        (b"From: anna@\r\n", "From field has an address without a domain"),
        (b"From:\r\n", "From field ends where an address should stand"),
        (b"From: a@b.example\r\nfrom: c@d.example\r\n", "From field stands there twice"),
        (b"From: anna\r\nSender: <>\r\n", "Sender field has no address"),
        (b"From: J\xe9@hq.example\r\n", "neither ASCII nor UTF-8"),
    ],
)
def test_a_malformed_author_is_refused_with_an_example(header: bytes, words: str) -> None:
    refusal = submitter().complete(header + b"\r\n", LACKING)
    assert isinstance(refusal, Refuse)
    assert refusal.reply.code == 550
    assert words in refusal.reply.text
    assert "Anna Berg <anna@example.org>" in refusal.reply.text


def test_a_foreign_from_is_refused_rewritten_or_let_be() -> None:
    header = b"From: The Boss <boss@hq.example>\r\n" + WHOLE + b"\r\n"
    assert completed(header) == header
    refusal = submitter(header_from=Binding.REFUSE).complete(header, LACKING)
    assert isinstance(refusal, Refuse)
    assert "boss@hq.example (From)" in refusal.reply.text
    rewritten = completed(header, submitter(header_from=Binding.REWRITE))
    assert rewritten == b"From: The Boss <anna@hq.example>\r\n" + WHOLE + b"\r\n"


def test_of_several_authors_each_one_is_looked_at() -> None:
    header = b"From: anna@hq.example, boss@hq.example\r\n" + WHOLE + b"\r\n"
    assert isinstance(submitter(header_from=Binding.REFUSE).complete(header, LACKING), Refuse)
    own = b"From: anna@hq.example, info@hq.example\r\n" + WHOLE + b"\r\n"
    assert completed(own, submitter(header_from=Binding.REFUSE)) == own
