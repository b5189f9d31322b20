"""Who is logged in to the page. Kept in memory: a restart logs everybody out. Of a token only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import field
from enum import StrEnum

from shared.config.account import Account
from shared.config.web import WebSettings
from shared.mail.record import dataclass

MOST = 500


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"


def role_of(person: str, settings: WebSettings) -> Role | None:
    if person in settings.operators:
        return Role.OPERATOR
    return Role.VIEWER if person in settings.viewers else None


@dataclass(frozen=True, slots=True)
class Session:
    """`token` is what a page of ours sends along with what changes something; `stored` the password hash it began
    with, so that a new password ends it."""

    person: str
    until: float
    token: str = field(repr=False)
    stored: str = field(repr=False)

    def has_token(self, given: str | None) -> bool:
        return hmac.compare_digest(self.token.encode(), (given or "").encode())


class Sessions:
    def __init__(
        self,
        settings: Callable[[], WebSettings],
        lookup: Callable[[str], Account | None],
        clock: Callable[[], float],
        make_token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        """`lookup` finds an account of now."""
        self._settings = settings
        self._lookup = lookup
        self._clock = clock
        self._make_token = make_token
        self._open: dict[str, Session] = {}

    def begin(self, account: Account) -> str:
        """What the cookie holds; always a new one. The oldest goes when there are too many."""
        cookie = self._make_token()
        stored = account.password.render() if account.password else ""
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        until = self._clock() + self._settings().session
        self._open[_key(cookie)] = Session(account.key, until, self._make_token(), stored)
        return cookie

    def find(self, cookie: str) -> tuple[Session, Role] | None:
        """As rights are now: a role or an account that was taken away ends it, and so does a new password."""
        session = self._open.get(_key(cookie))
        if session is None:
            return None
        account, role = self._lookup(session.person), role_of(session.person, self._settings())
        is_over = session.until <= self._clock() or account is None or account.disabled or account.password is None
        if is_over or role is None or (account and account.password and account.password.render() != session.stored):
            del self._open[_key(cookie)]
            return None
        return session, role

    def end(self, cookie: str) -> None:
        self._open.pop(_key(cookie), None)


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
