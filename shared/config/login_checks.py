"""What is wrong between the settings of logins and those of listeners and their TLS. Each check yields problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.config.listeners import Listener, ListenerTls, TlsFloor
from shared.config.logins import SCRAM, TOKENS, Auth, Introspection, Ldap, LoginBackend, Mechanism, is_this_host
from shared.config.problem import Problem, shown
from shared.config.secret import fault_of_secret

if TYPE_CHECKING:
    from shared.config.model import Config

_OLD = (TlsFloor.TLS_1_0, TlsFloor.TLS_1_1)


def check_logins(config: Config) -> Iterator[Problem]:
    auth = config.receive.auth
    yield from _check_backend(auth)
    if auth.ldap is not None:
        yield from _check_ldap(auth.ldap)
    if auth.introspection is not None:
        yield from _check_introspection(auth.introspection)
    for listener in config.receive.listeners:
        yield from _check_listener(listener, auth)
    if auth.certificates and not any(listener.client_ca for listener in config.receive.listeners):
        text = "no listener asks for certificates: name a 'client_ca' there"
        yield auth.origin.problem(text, "certificates")


def _check_backend(auth: Auth) -> Iterator[Problem]:
    if auth.backend is LoginBackend.LDAP and auth.ldap is None:
        yield auth.origin.problem("backend ldap needs an 'ldap' group", "backend")
    if auth.backend is not LoginBackend.LDAP and auth.ldap is not None:
        yield auth.origin.problem("'ldap' means nothing without 'backend: ldap'", "ldap")
    if auth.backend is not LoginBackend.DOVECOT and auth.socket != Auth.socket:
        yield auth.origin.problem("'socket' means nothing without 'backend: dovecot'", "socket")


def _check_ldap(ldap: Ldap) -> Iterator[Problem]:
    origin, given = ldap.origin, ldap.given
    scheme, host = urlsplit(ldap.url).scheme, urlsplit(ldap.url).hostname or ""
    if scheme == "ldaps" and "starttls" in given:
        yield origin.problem("'starttls' belongs to ldap://, and ldaps:// is TLS from the first byte", "starttls")
    if scheme == "ldap" and not ldap.starttls:
        if not is_this_host(host):
            yield origin.problem("passwords go over plain text to this host itself only", "starttls")
        if ldap.ca is not None:
            yield origin.problem("'ca' means nothing without TLS", "ca")
    if bool(ldap.user_dn) == bool(ldap.base):
        yield origin.problem("either 'user_dn' says whom to bind as, or 'base' where to look for them")
    if ldap.user_dn:
        for name in ("filter", "bind_dn"):
            if name in given:
                yield origin.problem(f"{shown(name)} belongs to 'base'; 'user_dn' looks for nobody", name)
    if bool(ldap.bind_dn) != bool(ldap.password_file):
        yield origin.problem("'bind_dn' and 'password_file' belong together")
    if ldap.password_file is not None and (fault := fault_of_secret(ldap.password_file)):
        yield origin.problem(fault, "password_file")


def _check_introspection(introspection: Introspection) -> Iterator[Problem]:
    origin = introspection.origin
    if bool(introspection.client_id) != bool(introspection.secret_file):
        yield origin.problem("'client_id' and 'secret_file' belong together")
    if introspection.secret_file is not None and (fault := fault_of_secret(introspection.secret_file)):
        yield origin.problem(fault, "secret_file")
    if introspection.ca is not None and urlsplit(introspection.url).scheme == "http":
        yield origin.problem("'ca' means nothing without https", "ca")


def _check_listener(listener: Listener, auth: Auth) -> Iterator[Problem]:
    origin, given = listener.origin, listener.given
    if listener.tls is ListenerTls.OFF:
        for name in ("tls_floor", "client_ca"):
            if name in given:
                yield origin.problem(f"{shown(name)} means nothing with 'tls: off'", name)
    if listener.tls_floor in _OLD and not listener.networks:
        text = f"TLS {listener.tls_floor} is for old devices only: say with 'networks' where they are"
        yield origin.problem(text, "tls_floor")
    chosen = listener.auth if isinstance(listener.auth, tuple) else ()
    for mechanism in chosen:
        if not auth.can(mechanism):
            yield origin.problem(_why_not(mechanism, auth), "auth")
    if Mechanism.EXTERNAL in chosen and listener.client_ca is None:
        yield origin.problem("EXTERNAL needs a 'client_ca': whose certificates are believed", "auth")


def _why_not(mechanism: Mechanism, auth: Auth) -> str:
    if mechanism in SCRAM:
        return f"{mechanism} needs keys that only the users file has, and the backend is {auth.backend}"
    assert mechanism in TOKENS
    return f"{mechanism} needs somebody to ask about tokens: 'receive.auth.introspection'"
