"""What may stand below `receive.auth` and at a listener about logins and TLS, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.directory_filter import Equal, Every, Present, Some, Without, escaped, parse_filter
from shared.config.listeners import TlsFloor
from shared.config.load import ConfigErrors, parse
from shared.config.logins import LoginBackend, Mechanism
from shared.config.model import Config
from shared.config.scram import new_scram_keys, parse_scram_keys, render_scram_keys

TLS = "tls: {certificate: c, key: k}\n"


def read(text: str) -> Config:
    return parse(TLS + text, Path("/m/m.yaml"), lambda: "mail.hq.example")


def problems(text: str) -> str:
    with pytest.raises(ConfigErrors) as refused:
        read(text)
    return str(refused.value)


def listener(more: str) -> str:
    return "receive:\n  listeners:\n    - {port: 587" + more + "}\n"


def test_the_ways_to_log_in_are_all_none_or_a_list() -> None:
    assert read(listener("")).receive.listeners[0].auth is True
    assert read(listener(", auth: false")).receive.listeners[0].auth is False
    chosen = read(listener(", auth: [LOGIN, SCRAM-SHA-256, PLAIN]")).receive.listeners[0].auth
    assert chosen == (Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.SCRAM)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (", auth: [CRAM-MD5]", "'CRAM-MD5' is no way to log in here"),
        (", auth: [scram-sha-256]", "did you mean 'SCRAM-SHA-256'?"),
        (", auth: []", "the list is empty"),
        (", auth: PLAIN", "say true, false, or a list"),
        (", auth: [XOAUTH2]", "needs somebody to ask about tokens"),
        (", auth: [EXTERNAL]", "EXTERNAL needs a 'client_ca'"),
        (", tls_floor: 1.0", "TLS 1.0 is for old devices only"),
        (", tls_floor: '1.1'", "TLS 1.1 is for old devices only"),
        (", tls_floor: 0.9", "say 1.0, 1.1, 1.2 or 1.3"),
        (", tls: off, tls_floor: 1.3", "'tls_floor' means nothing with 'tls: off'"),
        (", tls: off, client_ca: x", "'client_ca' means nothing with 'tls: off'"),
    ],
)
def test_what_a_listener_cannot_have(more: str, words: str) -> None:
    assert words in problems(listener(more))


def test_an_old_version_is_spoken_to_named_networks() -> None:
    found = read(listener(", tls_floor: 1.0, networks: [192.168.1.0/24]")).receive.listeners[0]
    assert found.tls_floor is TlsFloor.TLS_1_0
    assert read(listener(", tls_floor: 1.3")).receive.listeners[0].tls_floor is TlsFloor.TLS_1_3


def auth(text: str) -> str:
    return f"receive:\n  auth: {{{text}}}\n"


LDAP = "backend: ldap, ldap: {url: 'ldaps://ldap.hq.example', %s}"


def test_each_backend_can_be_chosen() -> None:
    assert read("").receive.auth.backend is LoginBackend.USERS
    assert str(read(auth("backend: dovecot, socket: s")).receive.auth.socket) == "/m/s"
    ldap = read(auth(LDAP % "user_dn: 'uid={user},dc=x'")).receive.auth.ldap
    assert ldap is not None and ldap.user_dn == "uid={user},dc=x"
    ldap = read(auth(LDAP % "base: 'dc=x', filter: '(&(a=b)(uid={user}))'")).receive.auth.ldap
    assert ldap is not None and ldap.base == "dc=x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backend: pam", "say users, dovecot or ldap"),
        ("backend: ldap", "backend ldap needs an 'ldap' group"),
        ("socket: /x", "means nothing without 'backend: dovecot'"),
        ("ldap: {url: 'ldaps://x', base: x}", "means nothing without 'backend: ldap'"),
        (LDAP % "", "either 'user_dn' says whom to bind as, or 'base'"),
        (LDAP % "base: x, user_dn: '{user}'", "either 'user_dn' says whom to bind as, or 'base'"),
        (LDAP % "user_dn: 'uid=x'", "everybody would be one person"),
        (LDAP % "user_dn: '{name}'", "can stand in braces"),
        (LDAP % "base: x, filter: 'mail={login}'", "a bracket is missing"),
        (LDAP % "base: x, filter: '(mail={login}'", "name=value"),
        (LDAP % "user_dn: '{user}', filter: '(mail={login})'", "'filter' belongs to 'base'"),
        (LDAP % "base: x, bind_dn: y", "'bind_dn' and 'password_file' belong together"),
        (LDAP % "base: x, bind_dn: y, password_file: nowhere", "does not exist"),
        (LDAP % "base: x, starttls: true", "'starttls' belongs to ldap://"),
        ("backend: ldap, ldap: {url: 'ldap://x', base: x, starttls: false}", "to this host itself only"),
        ("backend: ldap, ldap: {url: 'http://x', base: x}", "is no directory"),
        ("backend: ldap, ldap: {url: 'ldap://u@x', base: x}", "is no directory"),
        ("introspection: {url: 'http://login.example/'}", "would show tokens to everybody"),
        ("introspection: {url: 'ftp://login.example/'}", "is no address of a page"),
        ("introspection: {url: 'https://l.example/', client_id: x}", "'client_id' and 'secret_file' belong together"),
        ("certificates: [{fingerprint: ab, account: a@x.example}]", "is no SHA-256 fingerprint"),
        ("certificates: [{fingerprint: '" + "ab" * 32 + "', account: a@x.example}]", "name a 'client_ca' there"),
    ],
)
def test_what_cannot_check_a_login(text: str, words: str) -> None:
    assert words in problems(auth(text))


def test_scram_wants_the_users_file() -> None:
    text = auth("backend: dovecot") + "  listeners: [{port: 587, auth: [SCRAM-SHA-256]}]\n"
    assert "needs keys that only the users file has" in problems(text)


def test_filters_are_read() -> None:
    assert parse_filter("(mail=a)") == Equal("mail", b"a")
    assert parse_filter("(&(a=*)(|(b=c)(!(d=e))))") == Every(
        (Present("a"), Some((Equal("b", b"c"), Without(Equal("d", b"e")))))
    )
    assert parse_filter("(a=x\\2a\\28\\c3\\bc)") == Equal("a", "x*(ü".encode())


@pytest.mark.parametrize(
    "text", ["", "a=b", "(a=b", "(a=b))", "(&)", "(a>=b)", "(a=b*)", "(!(a=b)", "(a=\\zz)", "(" * 50]
)
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(ValueError):
        parse_filter(text)


@pytest.mark.parametrize("typed", ["*", ")(uid=*", "a\\b", "x,dc=evil", 'a"+<>;#= ', "ü\0"])
def test_what_was_typed_stays_one_value(typed: str) -> None:
    assert parse_filter(f"(mail={escaped(typed)})") == Equal("mail", typed.encode())
    assert not set(escaped(typed)) & set('*(),+"<>;#= \0')


def test_scram_keys_survive_their_line() -> None:
    keys = new_scram_keys("secret", b"0123456789abcdef")
    assert parse_scram_keys(render_scram_keys(keys)) == keys


@pytest.mark.parametrize(
    "text", ["", "secret", "scram-sha-256:1:QUJDREVGR0g=:QQ==:QQ==", "scram-sha-256:4096:QUJDREVGR0g=:QQ==:QQ=="]
)
def test_what_are_no_scram_keys_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_scram_keys(text)
    assert not text or text not in str(refused.value)
