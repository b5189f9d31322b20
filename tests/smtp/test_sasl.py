"""SASL exchanges: what is right is understood, all else is malformed, and nothing shows a password."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.smtp.sasl import LONGEST_RESPONSE, MECHANISMS, Challenge, Credentials, Login, Malformed, Plain, Step


def b64(text: bytes | str) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def login(*responses: bytes, initial: bytes | None = None) -> Step:
    exchange = Login()
    step = exchange.start(initial)
    for response in responses:
        assert isinstance(step, Challenge)
        step = exchange.respond(response)
    return step


ANNA = Credentials("anna@hq.example", "", "se cret ✓")


def test_plain_with_its_initial_response() -> None:
    assert Plain().start(b64("\0anna@hq.example\0se cret ✓")) == ANNA


def test_plain_asks_with_an_empty_challenge() -> None:
    exchange = Plain()
    step = exchange.start(None)
    assert step == Challenge(b"")
    assert step.encoded == ""
    assert exchange.respond(b64("\0anna@hq.example\0se cret ✓")) == ANNA


def test_plain_for_oneself_is_plain() -> None:
    assert Plain().start(b64("anna\0anna\0x")) == Credentials("anna", "anna", "x")


def test_login_asks_twice_or_once() -> None:
    exchange = Login()
    step = exchange.start(None)
    assert isinstance(step, Challenge)
    assert step.encoded == "VXNlcm5hbWU6"
    step = exchange.respond(b64("anna@hq.example"))
    assert isinstance(step, Challenge)
    assert step.encoded == "UGFzc3dvcmQ6"
    assert exchange.respond(b64("se cret ✓")) == ANNA
    assert login(b64("se cret ✓"), initial=b64("anna@hq.example")) == ANNA


BAD_BASE64 = [
    b"x", b"eA", b"eA=", b"eB==", b"eA===", b"eA==eA==", b" eA==", b"eA== ", b"e A==", b"eA==\0", b"====", b"==", b"*",
    b"-_==", "é".encode(), b"\xff", b"AGEAYg==\r\nMAIL", b"AGEAYg==\n",
]  # fmt: skip


@pytest.mark.parametrize("response", BAD_BASE64)
def test_what_is_not_base64_is_malformed(response: bytes) -> None:
    assert Plain().start(response) == Malformed("the response is not base64")
    assert login(response) == Malformed("the response is not base64")
    assert login(b64("anna"), response) == Malformed("the response is not base64")


@pytest.mark.parametrize("response", [b"=", b""])
def test_an_empty_response_is_nobody(response: bytes) -> None:
    assert isinstance(Plain().start(response), Malformed)
    assert isinstance(login(response, b64("x")), Malformed)
    assert isinstance(login(b64("anna"), response), Malformed)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"anna", b"\0anna", b"\0anna\0x\0", b"\0\0anna\0x", b"\0a\0b\0c", b"\0\0x", b"\0anna\0", b"\0\0",
        b"bert\0anna\0x", b"Anna\0anna\0x", b"\0an\rna\0x", b"\0an\nna\0x", b"\0anna\0x\r", b"\0anna\0x\ny",
        b"\0an\x1bna\0x", "\0an\u2028na\0x".encode(), b"\0\xff\0x", b"\0anna\0\xc0\xaf", b"\xffanna\0anna\0x",
        b"\0anna\0\xed\xa0\x80", b"\0" + b"a" * 256 + b"\0x", b"\0anna\0" + b"x" * 1025,
    ],
)  # fmt: skip
def test_plain_that_makes_no_sense_is_malformed(message: bytes) -> None:
    step = Plain().start(b64(message) or b"=")
    assert isinstance(step, Malformed)
    assert not step.is_too_long


def test_a_null_in_an_answer_to_login_is_malformed() -> None:
    assert isinstance(login(b64("anna\0bert"), b64("x")), Malformed)
    assert isinstance(login(b64("anna"), b64("x\0y")), Malformed)


def test_too_long_is_said_before_anything_is_decoded() -> None:
    assert Plain().start(b"!" * (LONGEST_RESPONSE + 1)) == Malformed("the response is longer than 12288 octets", True)
    step = Plain().start(b64(b"\0a\0" + b"x" * (LONGEST_RESPONSE // 4 * 3 - 3)))
    assert isinstance(step, Malformed)
    assert not step.is_too_long


def test_no_repr_and_no_reason_shows_a_password() -> None:
    assert "hunter2" not in repr(Plain().start(b64("\0anna\0hunter2")))
    exchange = Login()
    exchange.start(b64("hunter2"))
    for step in (Plain().start(b64("\0anna\0hunter2\0")), exchange.respond(b64("hunter2\n"))):
        assert "hunter2" not in repr(step)
    assert "hunter2" not in repr(exchange)


def test_each_session_gets_an_exchange_of_its_own() -> None:
    first, second = MECHANISMS["LOGIN"](), MECHANISMS["LOGIN"]()
    first.start(b64("anna"))
    assert second.start(None) == Challenge(b"Username:")


words = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=40)


@settings(derandomize=True)
@given(words, words)
def test_both_mechanisms_understand_the_same(name: str, password: str) -> None:
    expected = Credentials(name, "", password)
    assert Plain().start(b64(f"\0{name}\0{password}")) == expected
    assert login(b64(name), b64(password)) == expected


@settings(derandomize=True, max_examples=300)
@given(st.binary(max_size=40), st.sampled_from(sorted(MECHANISMS)))
def test_no_response_breaks_an_exchange(response: bytes, name: str) -> None:
    for given_response in (response, base64.b64encode(response)):
        exchange = MECHANISMS[name]()
        step = exchange.start(given_response)
        if isinstance(step, Challenge):
            step = exchange.respond(given_response)
        assert isinstance(step, (Credentials, Malformed))
        if isinstance(step, Credentials):
            assert step.authcid.isprintable() and step.authcid and step.password
