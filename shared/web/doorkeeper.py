"""Logging in to the page with the password of an account that has a role.

Behind a proxy or a socket everybody has the same address, so no one is locked out for what another does: a wrong
login is answered late, later the more there were, only so many may wait at once, and the right one is never late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from shared.config.account import Account
from shared.config.passwords import LONGEST_PASSWORD, NO_PASSWORD, PasswordHash
from shared.config.web import WebSettings
from shared.mail.address import AddressError, parse_address
from shared.web.session import role_of

#  Logins that are being looked at or wait for their refusal.
MOST_AT_ONCE = 8
#  Seconds: the first refusal comes so late, and none later than; failures of this long ago count.
FIRST_PAUSE, LONGEST_PAUSE, MEMORY = 0.5, 8.0, 600.0


class Busy(Exception):
    """Too many logins at once; come again."""


class Doorkeeper:
    def __init__(
        self,
        settings: Callable[[], WebSettings],
        lookup: Callable[[str], Account | None],
        executor: Executor,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._lookup = lookup
        self._executor = executor
        self._clock = clock
        self._pause = pause
        self._failures: deque[float] = deque(maxlen=32)
        self._busy = 0

    async def check(self, person: str, password: str) -> Account | None:
        """The account; None for a wrong password and for who has no role, after the same work. Raises Busy."""
        if self._busy >= MOST_AT_ONCE:
            raise Busy
        self._busy += 1
        try:
            account = self._find(person)
            stored = account.password if account else None
            given = password if len(password) <= LONGEST_PASSWORD else ""
            loop = asyncio.get_running_loop()
            is_right = await loop.run_in_executor(self._executor, PasswordHash.matches, stored or NO_PASSWORD, given)
            if account and stored and is_right:
                return account
            self._failures.append(self._clock())
            await self._pause(self._delay())
            return None
        finally:
            self._busy -= 1

    def _find(self, person: str) -> Account | None:
        try:
            key = parse_address(person).key
        except AddressError:
            return None
        account = self._lookup(key)
        return account if account and not account.disabled and role_of(key, self._settings()) else None

    def _delay(self) -> float:
        since = self._clock() - MEMORY
        recent = sum(1 for at in self._failures if at >= since)
        return float(min(FIRST_PAUSE * 2 ** max(recent - 1, 0), LONGEST_PAUSE))
