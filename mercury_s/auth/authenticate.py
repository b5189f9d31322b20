"""Is this who they claim to be: a login and a password against the accounts.

A wrong password, a name nobody has, a disabled account and one without a password all cost the same time and have the
same answer. Not here: the exchange on the wire (shared/smtp/sasl.py), what a login may do (mercury_s/policy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from mercury_s.auth.failures import Failures
from shared.config.account import Account
from shared.config.passwords import NO_PASSWORD, PasswordHash
from shared.mail.address import AddressError, parse_address
from shared.mail.reply import Reply

REJECTED = Reply(535, "5.7.8", "The login or the password is wrong")
BUSY = Reply(454, "4.7.0", "Too many logins at once, try again later")

#  Each check holds 16 MiB and 50 ms of a core; what would wait longer than some seconds is better sent away.
_MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Verified:
    account: Account


@dataclass(frozen=True, slots=True)
class Rejected:
    """Wait `delay` seconds, then say REJECTED. `is_blocked`: the client failed too often, hang up after that."""

    delay: float
    is_blocked: bool = False


@dataclass(frozen=True, slots=True)
class Overloaded:
    """Nothing was checked: say BUSY."""


Answer = Verified | Rejected | Overloaded


@dataclass(frozen=True, slots=True)
class Failure:
    """For the log and the counters. `account` is the key of an account that exists, or empty: what somebody typed
    in the wrong place may be a password, and is shown nowhere."""

    client: str
    account: str
    delay: float
    is_blocked: bool


def _ignore(failure: Failure) -> None:
    pass


class Authenticator:
    """`lookup` finds accounts by `Address.key`; `domain` belongs to a login without one; passwords are checked in
    `executor`, which should have no more threads than there are cores to spare."""

    def __init__(
        self,
        lookup: Callable[[str], Account | None],
        domain: str,
        failures: Failures,
        executor: Executor,
        on_failure: Callable[[Failure], None] = _ignore,
    ) -> None:
        self._lookup = lookup
        self._domain = domain
        self._failures = failures
        self._executor = executor
        self._on_failure = on_failure
        self._running: set[asyncio.Task[Answer]] = set()

    async def verify(self, login: str, password: str, client: str, is_exempt: bool = False) -> Answer:
        """`client` is the address of who asks; one that is exempt is counted but never blocked.

        A client that hangs up before the answer is counted all the same.
        """
        if not is_exempt and self._failures.is_blocked(client):
            return self._reject(login, client, "", is_exempt)
        if len(self._running) >= _MOST_AT_ONCE:
            return Overloaded()
        task = asyncio.create_task(self._check(login, password, client, is_exempt))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _check(self, login: str, password: str, client: str, is_exempt: bool) -> Answer:
        account = self.find(login)
        stored = account.password if account and account.password and not account.disabled else None
        loop = asyncio.get_running_loop()
        is_right = await loop.run_in_executor(self._executor, PasswordHash.matches, stored or NO_PASSWORD, password)
        if account and stored and is_right:
            return Verified(account)
        return self._reject(login, client, account.key if account else "", is_exempt)

    def find(self, login: str) -> Account | None:
        """The account that a login names: an address, or a local part of the own domain."""
        try:
            return self._lookup(parse_address(login if "@" in login else f"{login}@{self._domain}").key)
        except AddressError:
            return None

    def _reject(self, login: str, client: str, account: str, is_exempt: bool) -> Rejected:
        delay = self._failures.note(client, login)
        is_blocked = not is_exempt and self._failures.is_blocked(client)
        self._on_failure(Failure(client, account, delay, is_blocked))
        return Rejected(delay, is_blocked)
