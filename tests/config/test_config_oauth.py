"""OAuth accounts in the configuration: what presets fill in, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.model import Config
from shared.config.oauth import places_of
from shared.config.routing import routing_table

SELF = "token_url: https://login.example/t, device_url: https://login.example/d"
HOP = "sites: {a: {delivery: relay, smarthosts: [{host: b, %s}]}}\noauth: {acc: {client_id: x, " + SELF + "}}"


def read(text: str) -> Config:
    return parse(text, Path("/etc/mercury/mercury.yaml"), lambda: "host.example")


def errors_of(text: str) -> list[str]:
    try:
        read(text)
    except ConfigErrors as errors:
        return [problem.text for problem in errors.problems]
    return []


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("{client_id: x, device_url: https://a/d}", "'token_url' is missing"),
        ("{client_id: x, token_url: https://a/t}", "'grant: device' needs a 'device_url'"),
        ("{client_id: x, grant: browser, token_url: https://a/t}", "'grant: browser' needs a 'login_url'"),
        ("{client_id: x, token_url: http://a.example/t, device_url: https://a/d}", "'http://a.example/t' would show"),
        ("{preset: microsoft}", "'client_id' is missing"),
        ("{preset: micorsoft, client_id: x}", "did you mean 'microsoft'?"),
        ("{preset: microsoft, client_id: x, grant: client, secret_file: /run/credentials/c/s}", "needs the 'tenant'"),
        ("{preset: microsoft, client_id: x, tenant: t, grant: client}", "needs a 'secret_file' or a 'key'"),
        ("{preset: google, client_id: x}", "say 'grant: browser', or 'service'"),
        ("{preset: google, client_id: x, tenant: t, grant: browser}", "'tenant' belongs to 'preset: microsoft'"),
        ("{preset: google, client_id: x, grant: service, key: /run/credentials/c/k}", "needs a 'subject'"),
        ("{client_id: x, subject: y, " + SELF + "}", "'subject' belongs to 'grant: service'"),
        ("{client_id: x, secret_file: /nowhere/s, " + SELF + "}", "'/nowhere/s' does not exist"),
        ("{client_id: x, authorities: /nowhere/s, " + SELF + "}", "'/nowhere/s' does not exist"),
        ("{client_id: x, scopes: [], " + SELF + "}", "the list is empty"),
    ],
)
def test_what_an_account_needs(account: str, words: str) -> None:
    [error] = errors_of("oauth: {acc: " + account + "}")
    assert words in error


def test_a_name_is_the_name_of_a_file_too() -> None:
    [error] = errors_of("oauth: {../acc: {client_id: x, " + SELF + "}}")
    assert error.startswith("'../acc' is no name for an account")


@pytest.mark.parametrize(
    ("hop", "words"),
    [
        ("login: c, oauth: ac", "there is no account 'ac' below 'oauth'; did you mean 'acc'?"),
        ("oauth: acc", "'oauth' needs a 'login'"),
        ("login: c, oauth: acc, password_file: /run/credentials/c/p", "exclude each other"),
        ("login: c, oauth: acc, tls: opportunistic", "only shown to a server that is known"),
        ("login: c, oauth: acc, deny_auth: [XOAUTH]", "is not possible here: say PLAIN"),
        ("login: c", "'login' needs a 'password_file', an 'oauth' account or a 'certificate'"),
    ],
)
def test_what_a_smarthost_with_an_account_needs(hop: str, words: str) -> None:
    [error] = errors_of(HOP % hop)
    assert words in error


def test_the_hop_knows_its_account_and_what_is_denied() -> None:
    table = routing_table(read(HOP % "login: c, oauth: acc, deny_auth: [XOAUTH2, PLAIN]"))
    [hop] = table.sites["a"].smarthosts
    assert (hop.login, hop.oauth, hop.denied) == ("c", "acc", frozenset({"XOAUTH2", "PLAIN"}))


def test_presets_fill_in_what_is_left_out() -> None:
    config = read(
        "oauth:\n"
        "  one: {preset: microsoft, client_id: x}\n"
        "  two: {preset: microsoft, tenant: hq.example, grant: client, client_id: x, key: /run/credentials/c/k}\n"
        "  three: {preset: google, grant: browser, client_id: x}\n"
        "  four: {preset: google, grant: browser, client_id: x, scopes: [a, b], token_url: https://t.example/t}\n"
    )
    one, two, three, four = (places_of(config.oauth[name]) for name in ("one", "two", "three", "four"))
    assert one.device == "https://login.microsoftonline.com/organizations/oauth2/v2.0/devicecode"
    assert "offline_access" in one.scope.split()
    assert two.token == "https://login.microsoftonline.com/hq.example/oauth2/v2.0/token"
    assert two.scope == "https://outlook.office365.com/.default"
    assert three.token == "https://oauth2.googleapis.com/token" and three.scope == "https://mail.google.com/"
    assert (four.token, four.scope, four.login) == ("https://t.example/t", "a b", three.login)
