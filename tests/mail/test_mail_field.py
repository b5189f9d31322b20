"""Fields of a header section: split exactly, joined again without a difference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.field import split_fields

HEADER = (
    b"From: Anna <anna@hq.example>\r\n"
    b"SUBJECT : one\r\n two\r\n\tthree \r\n"
    b"X-Empty:\r\n"
    b"no field here\r\n"
    b"Last: x\r\n"
    b"\r\n"
    b"Body: not a field\r\n"
)


def test_fields_end_where_the_header_ends() -> None:
    fields = list(split_fields(HEADER))
    assert [field.name for field in fields] == [b"from", b"subject", b"x-empty", b"", b"last"]
    assert fields[1].raw == b"SUBJECT : one\r\n two\r\n\tthree \r\n"


def test_a_value_is_one_line_without_white_space_around_it() -> None:
    assert [field.value for field in split_fields(HEADER)][1:3] == ["one two\tthree", ""]


def test_a_value_that_is_no_utf_8_is_still_text() -> None:
    [field] = split_fields(b"Subject: caf\xe9\r\n")
    assert field.value == "café"


def test_a_field_without_its_line_end_is_a_field() -> None:
    [field] = split_fields(b"Bcc: x")
    assert (field.name, field.raw, field.body) == (b"bcc", b"Bcc: x", b" x")


@settings(derandomize=True)
@given(st.lists(st.sampled_from([b"a", b":", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\xff", b"Bcc:"])).map(b"".join))
def test_nothing_is_lost_or_added(header: bytes) -> None:
    joined = b"".join(field.raw for field in split_fields(header))
    assert header.startswith(joined)
    rest = header[len(joined) :]
    assert rest == b"" or rest.startswith(b"\r\n")
