"""By what a login is checked (`receive.auth:`), and the names of the ways to log in."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from shared.config.directory_filter import parse_filter
from shared.config.problem import shown
from shared.config.scalars import (
    Duration,
    File,
    Flag,
    SecretFile,
    Text,
    is_ip,
    not_empty,
    parse_text,
    parse_word,
    places_in,
)
from shared.config.setting import Parsed, Setting
from shared.mail.address import Address, AddressError, parse_address


class LoginBackend(StrEnum):
    """USERS: the users file. DOVECOT: Dovecot's auth socket. LDAP: a directory."""

    USERS = "users"
    DOVECOT = "dovecot"
    LDAP = "ldap"


class Mechanism(StrEnum):
    """In the order in which they are offered: old clients look at the first two at most."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    SCRAM = "SCRAM-SHA-256"
    SCRAM_PLUS = "SCRAM-SHA-256-PLUS"
    OAUTHBEARER = "OAUTHBEARER"
    XOAUTH2 = "XOAUTH2"
    EXTERNAL = "EXTERNAL"


SCRAM = frozenset({Mechanism.SCRAM, Mechanism.SCRAM_PLUS})
TOKENS = frozenset({Mechanism.OAUTHBEARER, Mechanism.XOAUTH2})


def parse_mechanisms(value: object) -> bool | tuple[Mechanism, ...]:
    """true: all that can be done; false: none; or the names of those to offer."""
    if isinstance(value, bool):
        return value
    names = [str(mechanism) for mechanism in Mechanism]
    if not isinstance(value, (tuple, list)):
        raise ValueError(f"{shown(value)}: say true, false, or a list of {', '.join(names)}")
    for name in value:
        if not isinstance(name, str) or name not in names:
            raise ValueError(f"{shown(name)} is no way to log in here: {', '.join(names)}{_suggest(name, names)}")
    chosen = not_empty(tuple(value))
    return tuple(mechanism for mechanism in Mechanism if mechanism in chosen)


def _suggest(name: object, names: list[str]) -> str:
    import difflib  # only when something is wrong

    close = difflib.get_close_matches(str(name).upper(), names, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def parse_directory_url(value: object) -> str:
    """ldap://host[:port] or ldaps://host[:port], nothing behind it."""
    text = parse_text(value)
    if not _is_server(text, ("ldap", "ldaps")) or urlsplit(text).path not in ("", "/"):
        raise ValueError(f"{shown(text)} is no directory: write ldaps://host or ldap://host, and a port if need be")
    return text


def parse_web_url(value: object) -> str:
    """https, or http to this host itself: the token and the secret travel in it."""
    text = parse_text(value)
    if not _is_server(text, ("http", "https")):
        raise ValueError(f"{shown(text)} is no address of a page, like https://login.example/introspect")
    if urlsplit(text).scheme == "http" and not is_this_host(urlsplit(text).hostname or ""):
        raise ValueError(f"{shown(text)} would show tokens to everybody on the way: write https")
    return text


def is_this_host(host: str) -> bool:
    return host in ("localhost", "::1") or (is_ip(host) and host.startswith("127."))


def _is_server(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False


def parse_template(value: object) -> str:
    """Text with {login}, {user} or {domain} in it."""
    text = parse_text(value)
    if not {"login", "user"} & places_in(text, ("login", "user", "domain")):
        raise ValueError(f"{shown(text)} holds neither {{login}} nor {{user}}: everybody would be one person")
    return text


def parse_filter_template(value: object) -> str:
    text = parse_template(value)
    try:
        parse_filter(text.format(login="x", user="x", domain="x"))
    except ValueError as error:
        raise ValueError(f"{shown(text)}: {error}")
    return text


def parse_fingerprint(value: object) -> str:
    """SHA-256 of a certificate in hex, as `openssl x509 -fingerprint -sha256` shows it, colons or not."""
    text = parse_text(value).replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"{shown(value)} is no SHA-256 fingerprint of 64 hexadecimal digits")
    return text


def parse_account(value: object) -> Address:
    text = parse_text(value)
    try:
        return parse_address(text)
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}")


class Ldap(Setting):
    """A directory. Either `user_dn` says whom to bind as, or `base` and `filter` find it. `starttls` belongs to
    ldap://; without it that is only for this host itself."""

    url: Annotated[str, Parsed(parse_directory_url)]
    starttls: Flag = True
    ca: File | None = None
    user_dn: Annotated[str, Parsed(parse_template)] = ""
    base: Text = ""
    filter: Annotated[str, Parsed(parse_filter_template)] = "(mail={login})"
    bind_dn: Text = ""
    password_file: SecretFile | None = None
    address: Text = "mail"
    timeout: Duration = 10.0


class Introspection(Setting):
    """Where a token is asked about (RFC 7662). `account` names the field of the answer that says whose it is."""

    url: Annotated[str, Parsed(parse_web_url)]
    client_id: Text = ""
    secret_file: SecretFile | None = None
    ca: File | None = None
    account: Text = "username"
    scope: Text = ""
    timeout: Duration = 10.0


class CertificateLogin(Setting):
    """A client certificate that is somebody though it does not say so itself."""

    fingerprint: Annotated[str, Parsed(parse_fingerprint)]
    account: Annotated[Address, Parsed(parse_account)]


class Auth(Setting):
    backend: Annotated[LoginBackend, Parsed(parse_word(LoginBackend))] = LoginBackend.USERS
    socket: File = Path("/run/dovecot/auth-client")
    ldap: Ldap | None = None
    introspection: Introspection | None = None
    certificates: tuple[CertificateLogin, ...] = ()

    def can(self, mechanism: Mechanism) -> bool:
        """Whether a login by this way could be checked at all (for EXTERNAL: as far as it is ours to say)."""
        if mechanism in TOKENS:
            return self.introspection is not None
        return mechanism not in SCRAM or self.backend is LoginBackend.USERS


Mechanisms = Annotated[bool | tuple[Mechanism, ...], Parsed(parse_mechanisms)]
