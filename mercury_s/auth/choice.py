"""The authenticator that the configuration describes (`receive.auth`)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from mercury_s.auth.authenticate import Authenticator, Failure
from mercury_s.auth.backend import Backend, BackendDown, Tokens
from mercury_s.auth.client_certificate import CertificateOwners
from mercury_s.auth.directory import DirectoryLogins
from mercury_s.auth.dovecot import DovecotLogins, connect_to
from mercury_s.auth.failures import Failures
from mercury_s.auth.stand_in import StandIn, load_secret
from mercury_s.auth.users import Offered, UsersFileLogins
from shared.config.accounts import AccountsFile
from shared.config.logins import LoginBackend
from shared.config.model import Config
from shared.service.trouble import StartTrouble


def make_authenticator(
    config: Config,
    accounts: AccountsFile,
    domain: str,
    executor: Executor,
    failures: Failures,
    on_failure: Callable[[Failure], None],
) -> Authenticator:
    """Raises StartTrouble when a file that is needed for it cannot be used."""
    auth = config.receive.auth
    try:
        return Authenticator(
            _make_backend(config, accounts, domain, executor),
            accounts.lookup,
            domain,
            failures,
            on_failure,
            StandIn(load_secret(config.state / "login-secret")),
            _make_tokens(config) if auth.introspection else None,
            CertificateOwners(auth.certificates),
        )
    except (OSError, ValueError) as error:
        raise StartTrouble(f"check logins: {error}", "correct what 'receive.auth' names") from error


def _make_backend(config: Config, accounts: AccountsFile, domain: str, executor: Executor) -> Backend:
    auth = config.receive.auth
    if auth.backend is LoginBackend.DOVECOT:
        return DovecotLogins(connect_to(auth.socket), domain)
    if auth.backend is LoginBackend.LDAP:
        assert auth.ldap is not None
        return DirectoryLogins(auth.ldap, domain, _secret_in(auth.ldap.password_file))
    offered = Offered(lambda: accounts.accounts, lambda: accounts.version)
    return UsersFileLogins(accounts.lookup, domain, executor, offered)


def _make_tokens(config: Config) -> Tokens:
    from twisted.internet import reactor

    from mercury_s.auth.tokens import IntrospectedTokens  # an HTTP client, only where it is needed
    from shared.transport.https import make_agent

    settings: Any = config.receive.auth.introspection
    return IntrospectedTokens(
        settings, make_agent(reactor, settings.ca, settings.timeout), _secret_in(settings.secret_file)
    )


def _secret_in(path: Path | None) -> Callable[[], str]:
    """Read at each use, so that a new secret needs no reload."""

    def read() -> str:
        if path is None:
            return ""
        try:
            return path.read_text().split("\n", 1)[0]
        except (OSError, UnicodeDecodeError) as error:
            raise BackendDown(f"{path} cannot be read: {type(error).__name__}") from None

    return read
