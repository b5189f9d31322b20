"""Is this who they claim to be: by a password, a SCRAM proof, a token or a certificate.

Whatever is wrong with a login, and whether it exists at all, costs the same time and has the same answer. Not here:
who knows (users.py, dovecot.py, directory.py, tokens.py), the exchange on the wire (mercury_s/login.py), what a login
may do (mercury_s/policy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mercury_s.auth.backend import Backend, BackendDown, Lookup, Tokens, address_of
from mercury_s.auth.client_certificate import CertificateOwners, ClientCertificate
from mercury_s.auth.failures import Failures
from mercury_s.auth.stand_in import StandIn
from shared.config.account import Account
from shared.config.logins import TOKENS, Mechanism
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp.sasl_scram import ScramKeys

REJECTED = Reply(535, "5.7.8", "The login or the password is wrong")
BUSY = Reply(454, "4.7.0", "Too many logins at once, try again later")

#  Each check holds 16 MiB and 50 ms of a core; what would wait longer than some seconds is better sent away.
_MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Verified:
    account: Account


@dataclass(frozen=True, slots=True)
class Rejected:
    """Say REJECTED `delay` seconds after the question. `is_blocked`: the client failed too often, hang up then."""

    delay: float
    is_blocked: bool = False


@dataclass(frozen=True, slots=True)
class Overloaded:
    """Nothing was checked: say BUSY."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody could say. `reason` is for the log."""

    reason: str


Answer = Verified | Rejected | Overloaded | Unavailable


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
    """`lookup` finds accounts by `Address.key`; `domain` belongs to a login without one. `client` is always the
    address of who asks; one that is exempt is counted but never blocked."""

    def __init__(
        self,
        backend: Backend,
        lookup: Lookup,
        domain: str,
        failures: Failures,
        on_failure: Callable[[Failure], None] = _ignore,
        stand_in: StandIn | None = None,
        tokens: Tokens | None = None,
        owners: CertificateOwners | None = None,
    ) -> None:
        self._backend = backend
        self._lookup = lookup
        self._domain = domain
        self._failures = failures
        self._on_failure = on_failure
        self._stand_in = stand_in or StandIn(b"")
        self._tokens = tokens
        self._owners = owners or CertificateOwners()
        self._running: set[asyncio.Task[Answer]] = set()

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The ways to log in that make sense now; EXTERNAL depends on the listener, and stands with the others."""
        tokens = TOKENS if self._tokens is not None else ()
        able = {*self._backend.mechanisms, *tokens, Mechanism.EXTERNAL}
        return tuple(mechanism for mechanism in Mechanism if mechanism in able)

    async def verify(self, login: str, password: str, client: str, is_exempt: bool = False) -> Answer:
        """By a password."""
        return await self._judge(login, client, is_exempt, lambda: self._backend.check(login, password, client))

    def scram_keys(self, login: str) -> ScramKeys:
        """Those of the account, or some that look like it."""
        address = address_of(login, self._domain)
        name = address.key if address else login.casefold()
        return self._backend.scram_keys(login) or self._stand_in.keys(name)

    async def verify_proof(self, login: str, is_right: bool, client: str, is_exempt: bool = False) -> Answer:
        """By SCRAM: `is_right` is what came of the proof, with the keys from `scram_keys`."""

        async def check() -> Account | None:
            account = await self._backend.admit(login)
            return account if is_right and self._backend.scram_keys(login) else None

        return await self._judge(login, client, is_exempt, check)

    async def verify_token(self, login: str, token: str, client: str, is_exempt: bool = False) -> Answer:
        """By a token; `login` may be empty, and the token says it."""

        async def check() -> Account | None:
            owner = await self._tokens.owner(token) if self._tokens else None
            account = await self._backend.admit(owner) if owner else None
            wanted = address_of(login, self._domain) if login else None
            return account if account and (not login or (wanted and wanted.key == account.key)) else None

        return await self._judge(login, client, is_exempt, check)

    async def verify_certificate(
        self, login: str, certificate: ClientCertificate, client: str, is_exempt: bool = False
    ) -> Answer:
        """By a certificate that the handshake found good; `login` may be empty, and the certificate says it."""

        async def check() -> Account | None:
            for owner in self._owners.owners(certificate, login):
                if account := await self._backend.admit(owner):
                    return account
            return None

        return await self._judge(login, client, is_exempt, check)

    async def close(self) -> None:
        await self._backend.close()

    async def _judge(
        self, login: str, client: str, is_exempt: bool, check: Callable[[], Coroutine[Any, Any, Account | None]]
    ) -> Answer:
        """A client that hangs up before the answer is counted all the same."""
        if not is_exempt and self._failures.is_blocked(client):
            return self._reject(login, client, is_exempt)
        if len(self._running) >= _MOST_AT_ONCE:
            return Overloaded()
        task = asyncio.create_task(self._check(login, client, is_exempt, check))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _check(
        self, login: str, client: str, is_exempt: bool, check: Callable[[], Coroutine[Any, Any, Account | None]]
    ) -> Answer:
        try:
            account = await check()
        except BackendDown as down:
            return Unavailable(str(down))
        return Verified(account) if account else self._reject(login, client, is_exempt)

    def _reject(self, login: str, client: str, is_exempt: bool) -> Rejected:
        delay = self._failures.note(client, login or client)
        is_blocked = not is_exempt and self._failures.is_blocked(client)
        address = address_of(login, self._domain)
        account = self._lookup(address.key) if address else None
        self._on_failure(Failure(client, account.key if account else "", delay, is_blocked))
        return Rejected(delay, is_blocked)
