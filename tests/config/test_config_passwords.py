"""Stored passwords: what was hashed is recognised, and nothing else is."""

from __future__ import annotations

import pytest

from shared.config.passwords import NO_PASSWORD, check_new_password, hash_password, parse_password_hash

SALT = bytes(range(16))


def test_the_password_matches_and_others_do_not() -> None:
    stored = hash_password("correct horse", SALT)
    assert stored.matches("correct horse")
    assert not stored.matches("correct horsf")
    assert not stored.matches("")


def test_the_stored_form_is_the_documented_one_and_is_read_again() -> None:
    text = hash_password("secret", SALT).render()
    assert text.startswith("scrypt:16384:8:1:AAECAwQFBgcICQoLDA0ODw==:")
    assert parse_password_hash(text).matches("secret")


def test_the_hash_is_the_scrypt_of_rfc_7914() -> None:
    #  RFC 7914 §12, third vector: P="pleaseletmein", S="SodiumChloride", N=16384, r=8, p=1, the first 32 octets
    expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    assert hash_password("pleaseletmein", b"SodiumChloride").digest.hex() == expected


def test_composed_and_decomposed_letters_are_the_same_password() -> None:
    assert hash_password("z\u00fcrich", SALT).matches("zu\u0308rich")


def test_a_lone_surrogate_is_a_wrong_password_and_no_crash() -> None:
    assert not NO_PASSWORD.matches("\udc80")


def test_the_stand_in_for_nobody_costs_what_a_new_password_costs() -> None:
    stored = hash_password("x", SALT)
    assert (NO_PASSWORD.n, NO_PASSWORD.r, NO_PASSWORD.p) == (stored.n, stored.r, stored.p)
    assert len(NO_PASSWORD.digest) == len(stored.digest)


@pytest.mark.parametrize("text", ["", "secret", "scrypt:16384:8:1:AAAA", "scrypt:١٦:8:1:c2FsdHNhbHQ=:AAAA"])
def test_another_form_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form") as caught:
        parse_password_hash(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("password", ["", "a\nb", "a\0", "x" * 1025, "ü" * 513, "\udc80"])
def test_a_password_nobody_could_send_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="the password"):
        check_new_password(password)


def test_a_long_sentence_with_blanks_is_a_password() -> None:
    check_new_password("ein ganzer Satz, mit Ümläuten ✓ " * 20)
