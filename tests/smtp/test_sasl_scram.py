"""SCRAM as its server: the RFC's own example, our own client, and everything that must not pass."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.smtp.client_login import Login
from shared.smtp.client_scram import ScramProof
from shared.smtp.sasl import Malformed
from shared.smtp.sasl_scram import Opening, Proof, ScramExchange, ScramKeys, derive_keys

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = derive_keys("pencil", SALT, 4096)
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def opened(first: bytes = CLIENT_FIRST, keys: ScramKeys = PENCIL) -> ScramExchange:
    exchange = ScramExchange(SERVER_NONCE)
    assert isinstance(exchange.open(first), Opening)
    exchange.challenge(keys)
    return exchange


def test_the_example_of_rfc_7677() -> None:
    exchange = ScramExchange(SERVER_NONCE)
    assert exchange.open(CLIENT_FIRST) == Opening("user")
    assert exchange.challenge(PENCIL) == SERVER_FIRST
    assert exchange.prove(CLIENT_FINAL) == Proof(True, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize(("name", "password"), [("anna", "se cret"), ("a,b=c@x", "x"), ("jürgen", "Straße ﬁ")])
def test_our_own_client_gets_in_and_is_convinced(name: str, password: str) -> None:
    client, server = ScramProof(Login(name, password, "fyko+d2lbbFgONRv9qkxdawL")), ScramExchange(SERVER_NONCE)
    assert client.initial is not None
    assert server.open(client.initial) == Opening(name)
    keys = derive_keys(password, b"0123456789abcdef", 4096)
    proof = server.prove(client.answer(server.challenge(keys)))
    assert isinstance(proof, Proof)
    client.answer(proof.signature)
    assert proof.is_right and client.is_convinced


def test_passwords_that_look_alike_have_the_same_keys() -> None:
    assert derive_keys("a\u00adb\u00a0ﬁ", SALT, 4096) == derive_keys("ab fi", SALT, 4096)


def test_another_password_proves_nothing() -> None:
    assert opened(keys=derive_keys("pencil2", SALT, 4096)).prove(CLIENT_FINAL) == Proof(False)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"rOprN", b"rOprM"), (b"k0,p", b"k1,p"), (b"c=biws", b"c=eSws"), (b"c=biws", b"c=biwsAA=="), (b"p=dH", b"p=eH")],
)  # fmt: skip
def test_a_proof_for_something_else_is_none(old: bytes, new: bytes) -> None:
    assert opened().prove(CLIENT_FINAL.replace(old, new)) == Proof(False)


BAD_FIRST = [
    b"", b"n,,", b"n,,n=user", b"n,,n=user,r=", b"n,,n=user,r=short", b"n=user,r=rOprNGfwEbeRWgbNEkqO", b"n,,n=,r=rOprNGfwEb",
    b"x,,n=user,r=rOprNGfwEb", b"n,,m=x,n=user,r=rOprNGfwEb", b"n,a=bert,n=user,r=rOprNGfwEb", b"n,,n=us=er,r=rOprNGfwEb",
    b"n,,n=us\0er,r=rOprNGfwEb", b"n,,n=us\ner,r=rOprNGfwEb", b"n,,n=\xff,r=rOprNGfwEb", b"n,,n=user,r=rOprN Gfw", b"n,,n=user,r=rOprNGfwEb,x=y",
    b"n,,n=" + b"u" * 300 + b",r=rOprNGfwEb", b"p=tls-unique,,n=user,r=rOprNGfwEb", b"p=tls-exporter,,n=user,r=rOprNGfwEb",
]  # fmt: skip


@pytest.mark.parametrize("first", BAD_FIRST)
def test_a_first_message_that_makes_no_sense_is_malformed(first: bytes) -> None:
    assert isinstance(ScramExchange(SERVER_NONCE).open(first), Malformed)


@pytest.mark.parametrize("final", [b"", b"x", CLIENT_FINAL[:-1], CLIENT_FINAL + b",x=y", b"p=AAAA", b"c=,r=x,p=x"])
def test_a_last_message_that_makes_no_sense_is_malformed(final: bytes) -> None:
    assert isinstance(opened().prove(final), Malformed)


def with_binding(of_client: bytes, of_server: bytes) -> Proof | Malformed:
    """A client with channel binding, as far as ours lacks it."""
    import hashlib
    import hmac

    server = ScramExchange(SERVER_NONCE, of_server)
    gs2, bare = b"p=tls-exporter,,", b"n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert isinstance(server.open(gs2 + bare), Opening)
    first = server.challenge(PENCIL)
    nonce = first.split(b",")[0]
    unproven = b"c=" + base64.b64encode(gs2 + of_client) + b"," + nonce
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", SALT, 4096)
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((bare, first, unproven)), "sha256")
    return server.prove(
        unproven + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
    )


def test_a_proof_is_bound_to_its_connection() -> None:
    proof = with_binding(b"E" * 32, b"E" * 32)
    assert isinstance(proof, Proof) and proof.is_right
    assert with_binding(b"E" * 32, b"F" * 32) == Proof(False), "somebody stands between the two"


def test_with_plus_the_client_must_bind_and_by_the_exporter() -> None:
    for flag in (b"n,,", b"y,,", b"p=tls-unique,,", b"p=tls-server-end-point,,"):
        assert isinstance(ScramExchange(SERVER_NONCE, b"E" * 32).open(flag + CLIENT_FIRST[3:]), Malformed)


def test_a_client_that_was_robbed_of_plus_is_told_no() -> None:
    first = b"y" + CLIENT_FIRST[1:]
    assert isinstance(ScramExchange(SERVER_NONCE, is_plus_offered=True).open(first), Malformed)
    assert isinstance(ScramExchange(SERVER_NONCE).open(first), Opening)


def test_no_repr_shows_a_key() -> None:
    assert repr(PENCIL) == "ScramKeys(iterations=4096)"


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_message_breaks_an_exchange(first: bytes, final: bytes) -> None:
    ScramExchange(SERVER_NONCE).open(first)
    proof = opened().prove(final)
    assert isinstance(proof, Malformed) or not proof.is_right
