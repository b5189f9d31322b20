"""AUTH in a session (RFC 4954): an exchange is opened, its question asked, and what the answer means is the reply.

Here: what a login changes, and what a wrong one costs. Not here: the exchanges themselves (login.py), and who is let
in (auth/authenticate.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, assert_never

from mercury_s.auth.authenticate import BUSY, REJECTED, Overloaded, Rejected, Unavailable, Verified
from mercury_s.conduct import TOO_MANY_FAILED_LOGINS
from mercury_s.door import Door
from mercury_s.guest import Guest
from mercury_s.login import Caller, LoginExchange, Question, open_exchange, possible, wait_out
from mercury_s.porter import Offence
from mercury_s.wire import Wire
from shared.config.logins import Mechanism
from shared.mail.reply import Reply
from shared.observe import events as observed
from shared.observe.log import log
from shared.smtp import replies
from shared.smtp.events import AuthAnswered, AuthAsked

LOGINS_DOWN = Reply(454, "4.7.0", "Logins cannot be checked at the moment; try again later")
TOO_MANY_FAILURES = Reply(421, "4.7.0", "Too many wrong logins from your address; closing")


class Authentication:
    """The logins of one `guest`, of which one succeeds at most."""

    __slots__ = ("_door", "_exchange", "_guest", "_way", "_wire")

    def __init__(self, door: Door, guest: Guest, wire: Wire) -> None:
        self._door = door
        self._guest = guest
        self._wire = wire
        self._exchange: LoginExchange | None = None
        self._way = ""  #  the mechanism of the exchange

    def possible(self, mechanisms: Iterable[str]) -> tuple[str, ...]:
        """Those of the mechanisms that can be offered to this client."""
        return possible(mechanisms, self._caller())

    def hear(self, event: AuthAsked | AuthAnswered, offered: Iterable[str]) -> Reply | Coroutine[Any, Any, Reply]:
        """The reply to the line, or what must be waited for to have it."""
        if isinstance(event, AuthAsked):
            is_plus_offered = Mechanism.SCRAM_PLUS in offered
            self._exchange = open_exchange(event.mechanism, self._door.authenticator, self._caller(), is_plus_offered)
            self._way = event.mechanism
            turn = self._exchange.begin(event.initial)
        else:
            assert self._exchange is not None
            turn = self._exchange.go_on(event.response)
        return turn if isinstance(turn, Reply) else self._check(turn)

    def _caller(self) -> Caller:
        guest, wire = self._guest, self._wire
        return Caller(guest.address, guest.welcome.exempt, wire.channel_binding(), wire.client_certificate())

    async def _check(self, question: Question) -> Reply:
        """Ask whether a login is right. A refusal takes its time, so that guessing is slow."""
        begun = asyncio.get_running_loop().time()
        try:
            answer = await question
        except Exception as error:
            #  Its text may quote what was typed.
            log.event(observed.FAULT, where="login", reason=type(error).__name__)
            return LOGINS_DOWN
        match answer:
            case Reply():
                return answer
            case Verified():
                return self._let_in(answer)
            case Rejected():
                await wait_out(answer, begun)
                return self._reject(answer)
            case Overloaded():
                return BUSY
            case Unavailable():
                log.event(observed.LOGINS_DOWN, client=self._guest.address, reason=answer.reason)
                return LOGINS_DOWN
            case _:
                assert_never(answer)

    def _let_in(self, verified: Verified) -> Reply:
        guest, account = self._guest, verified.account
        guest.login, guest.identity = account.key, account.address
        log.event(observed.LOGIN_ACCEPTED, client=guest.address, login=guest.login, mechanism=self._way)
        return replies.AUTHENTICATED

    def _reject(self, rejected: Rejected) -> Reply:
        is_last = self._guest.offend(Offence.FAILED_LOGIN) is not None
        if rejected.is_blocked:
            return TOO_MANY_FAILURES
        return TOO_MANY_FAILED_LOGINS if is_last else REJECTED
