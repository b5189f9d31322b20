"""Who knows whether a login is right: the promise that the users file, Dovecot and a directory all keep.

The backends are users.py, dovecot.py and directory.py; counting failures and slowing them is authenticate.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.config.account import Account
from shared.config.logins import Mechanism
from shared.mail.address import Address, AddressError, parse_address
from shared.smtp.sasl_scram import ScramKeys


class BackendDown(Exception):
    """Nobody can say at the moment whether a login is right. The text is for the log and repeats nothing typed."""


class Backend(Protocol):
    """Raises BackendDown. A login that does not exist takes as long as one that does."""

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The ways to log in with a password that make sense now."""

    async def check(self, login: str, password: str, client: str) -> Account | None:
        """The account, if this is its password and it may log in."""

    async def admit(self, login: str) -> Account | None:
        """The account of somebody whom a token or a certificate has proven already, if it may log in."""

    def scram_keys(self, login: str) -> ScramKeys | None:
        """The keys of the account, if it has some and may log in."""

    async def close(self) -> None: ...


class Tokens(Protocol):
    async def owner(self, token: str) -> str | None:
        """The login that the token is for, if it is good. Raises BackendDown."""


def address_of(login: str, domain: str) -> Address | None:
    """The address that a login names: itself, or a local part of `domain`."""
    try:
        return parse_address(login if "@" in login else f"{login}@{domain}")
    except AddressError:
        return None


Lookup = Callable[[str], Account | None]
"""Finds an account by `Address.key`."""
