"""Logins by the users file: scrypt hashes checked in a thread, and the keys for SCRAM.

Not here: the file itself (shared/config/accounts.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from mercury_s.auth.backend import Lookup, address_of
from shared.config.account import Account
from shared.config.logins import SCRAM, Mechanism
from shared.config.passwords import NO_PASSWORD, PasswordHash
from shared.smtp.sasl_scram import ScramKeys

_PASSWORDS = (Mechanism.PLAIN, Mechanism.LOGIN)
_WITH_SCRAM = (*_PASSWORDS, *sorted(SCRAM))


class UsersFileLogins:
    """`lookup` finds accounts by `Address.key`; `domain` belongs to a login without one; passwords are checked in
    `executor`, which should have no more threads than there are cores to spare."""

    def __init__(self, lookup: Lookup, domain: str, executor: Executor, offer: Offered | None = None) -> None:
        self._lookup = lookup
        self._domain = domain
        self._executor = executor
        self._offer = offer

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        return self._offer.mechanisms() if self._offer else _PASSWORDS

    async def check(self, login: str, password: str, client: str) -> Account | None:
        account = self._find(login)
        stored = account.password if account else None
        loop = asyncio.get_running_loop()
        is_right = await loop.run_in_executor(self._executor, PasswordHash.matches, stored or NO_PASSWORD, password)
        return account if stored and is_right else None

    async def admit(self, login: str) -> Account | None:
        return self._find(login)

    def scram_keys(self, login: str) -> ScramKeys | None:
        account = self._find(login)
        return account.scram if account else None

    async def close(self) -> None:
        pass

    def _find(self, login: str) -> Account | None:
        address = address_of(login, self._domain)
        account = self._lookup(address.key) if address else None
        return account if account and not account.disabled else None


class Offered:
    """The ways to log in that all of the accounts have. Asked at every connection, counted when the file changes."""

    def __init__(self, accounts: Callable[[], Mapping[str, Account]], version: Callable[[], int]) -> None:
        self._accounts = accounts
        self._version = version
        self._counted = -1
        self._mechanisms: tuple[Mechanism, ...] = ()

    def mechanisms(self) -> tuple[Mechanism, ...]:
        accounts = self._accounts()
        version = self._version()
        if version != self._counted:
            self._counted = version
            able = [account for account in accounts.values() if account.password and not account.disabled]
            #  SCRAM offered to somebody without keys would refuse the right password, and clients try no other way.
            everybody = _WITH_SCRAM if all(account.scram for account in able) else _PASSWORDS
            self._mechanisms = everybody if able else ()
        return self._mechanisms
