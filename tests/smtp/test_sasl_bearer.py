"""Tokens as clients send them: the examples of the RFC and of the mail providers, and what makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.smtp.sasl import Malformed
from shared.smtp.sasl_bearer import Bearer, parse_oauthbearer, parse_xoauth2

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
EXAMPLE = f"n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer {TOKEN}\x01\x01".encode()


def test_the_example_of_rfc_7628() -> None:
    assert parse_oauthbearer(EXAMPLE) == Bearer("user@example.com", TOKEN)


def test_the_name_may_be_left_to_the_token() -> None:
    assert parse_oauthbearer(b"n,,\x01auth=Bearer abc\x01\x01") == Bearer("", "abc")
    assert parse_oauthbearer(b"y,a=a=2Cb=3Dc,\x01auth=bearer abc\x01\x01") == Bearer("a,b=c", "abc")


def test_the_older_way_says_the_same() -> None:
    message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
    assert parse_xoauth2(message) == Bearer("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\x01", b"n,,\x01\x01", b"n,,\x01auth=Bearer \x01\x01", b"n,,\x01auth=Basic abc\x01\x01", b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", b"n,,\x01auth=Bearer abc\x01", b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
        b"n,a=x\0y,\x01auth=Bearer abc\x01\x01", b"n,a=x\ny,\x01auth=Bearer abc\x01\x01", b"n,a=\xff,\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer abc\r\n\x01\x01", b"n,,\x01auth=Bearer " + b"x" * 9000 + b"\x01\x01", b"n,,\x01auth=Bearer \xc3\xa9\x01\x01",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_malformed(message: bytes) -> None:
    assert isinstance(parse_oauthbearer(message), Malformed)
    assert isinstance(parse_xoauth2(message.replace(b"n,,", b"user=x").replace(b"n,a=", b"user=")), Malformed)


def test_no_repr_shows_a_token() -> None:
    assert TOKEN not in repr(parse_oauthbearer(EXAMPLE))


@settings(derandomize=True, max_examples=300)
@given(st.binary(max_size=80))
def test_no_message_breaks_it(message: bytes) -> None:
    for parse in (parse_oauthbearer, parse_xoauth2):
        assert isinstance(parse(message), (Malformed, Bearer))
