"""What programs pipe into sendmail: LF or CRLF, with a header or none, recipients where they like."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.handwritten import addresses_in, parse_handwritten, render_from

LETTER = b"To: Anna <anna@hq.example>,\n  bert@hq.example\nBcc: boss@hq.example\nSubject: x\n\nline\n.\n"


@pytest.mark.parametrize("raw", [LETTER, LETTER.replace(b"\n", b"\r\n"), LETTER.replace(b"\n", b"\r")])
def test_any_line_ends_become_crlf(raw: bytes) -> None:
    written = parse_handwritten(raw)
    assert written.body == b"line\r\n.\r\n"
    assert written.recipients() == ["anna@hq.example", "bert@hq.example", "boss@hq.example"]
    assert written.render() == b"To: Anna <anna@hq.example>,\r\n  bert@hq.example\r\nSubject: x\r\n\r\nline\r\n.\r\n"


def test_resent_fields_go_before_the_others() -> None:
    written = parse_handwritten(b"Resent-To: c@x.example\nTo: a@x.example\nResent-Bcc: d@x.example\n\n")
    assert written.recipients() == ["c@x.example", "d@x.example"]
    assert b"d@x.example" not in written.render()


@pytest.mark.parametrize(
    ("raw", "fields", "body"),
    [
        (b"", 0, b""),
        (b"hello\n", 0, b"hello\r\n"),
        (b"hello", 0, b"hello\r\n"),
        (b"\nhello\n", 0, b"hello\r\n"),
        (b"Subject: x\nno header line\n", 1, b"no header line\r\n"),
        (b"Subject: x", 1, b""),
        (b" folded: into nothing\n", 0, b" folded: into nothing\r\n"),
        (b"From anna Mon Jan  1 00:00:00 2026\nSubject: x\n\ny\n", 1, b"y\r\n"),
        (b"Sub ject: x\n\ny\n", 0, b"Sub ject: x\r\n\r\ny\r\n"),
        (b"Subject : old\n\n", 1, b""),
    ],
)
def test_whatever_comes_is_a_message(raw: bytes, fields: int, body: bytes) -> None:
    written = parse_handwritten(raw)
    assert (len(written.fields), written.body) == (fields, body)


def test_what_is_missing_goes_behind_the_header() -> None:
    written = parse_handwritten(b"hello\n")
    assert written.render([b"Received: x\r\n"], [b"Date: now\r\n"]) == b"Received: x\r\nDate: now\r\n\r\nhello\r\n"


def test_addresses_as_people_write_them() -> None:
    assert addresses_in('"Doe, John" <j@x.example>, team: a@x.example, b@x.example;') == [
        "j@x.example", "a@x.example", "b@x.example",
    ]  # fmt: skip
    assert addresses_in("undisclosed-recipients:;") == []


def test_a_name_is_quoted_or_encoded_and_ends_no_line() -> None:
    assert render_from("Anna, Boss", "a@x.example") == b'From: "Anna, Boss" <a@x.example>\r\n'
    assert render_from("Jürgen", "a@x.example").startswith(b"From: =?utf-8?")
    assert render_from("A\r\nBcc: x", "a@x.example").count(b"\r\n") == 1
    assert render_from("", "a@x.example") == b"From: a@x.example\r\n"


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from([b"To: a@b.c", b"\n", b"\r\n", b"\r", b" ", b":", b"x", b"\0", b"\xff", b"Bcc: q@r.s"]))
)
def test_what_is_rendered_has_whole_line_ends_and_is_stable(pieces: list[bytes]) -> None:
    once = parse_handwritten(b"".join(pieces)).render()
    assert once.count(b"\r\n") == once.count(b"\r") == once.count(b"\n")
    assert b"\0" not in once
    assert parse_handwritten(once).render() == once
