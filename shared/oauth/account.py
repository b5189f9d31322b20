"""One account and its token: given to whoever logs in, renewed before it expires, waited for when there is none.

A provider that does not answer is asked again after a pause; one that says no is a matter for people: the postmaster
hears of it once, the mail waits. Whatever comes of it is kept on the disk (token_file.py), where `mercury login` puts
what a person has brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.config.oauth import OAuth
from shared.oauth.answers import Granted, Pending, Refused, Unavailable, parse_token_answer
from shared.oauth.endpoint import Endpoint, EndpointDown
from shared.oauth.forms import Form, Forms
from shared.oauth.standing import standing_of
from shared.oauth.token_file import Kept, Mark, TokenFile
from shared.observe import events
from shared.observe.log import log

#  Seconds between attempts: with a provider that is down, and with one that has refused us for good.
FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE = 5.0, 300.0, 600.0
#  A login may take so long, and the token must still be good at its end.
_MARGIN = 10.0
#  A token that a server does not like is replaced at most so often.
_FORCED_PAUSE = 300.0
#  For a provider to answer when we stop.
_FAREWELL = 5.0
_NEVER = float("inf")


class NoToken(ValueError):
    """There is none; one line says why, and what to do."""


class Account:
    """`now` is Unix time. `tell` sends a notice to the postmaster (subject, text) and returns when it is durable; it
    raises OSError."""

    def __init__(
        self,
        name: str,
        settings: OAuth,
        file: TokenFile,
        endpoint: Endpoint,
        forms: Forms,
        now: Callable[[], float],
        tell: Callable[[str, str], Awaitable[object]],
    ) -> None:
        self._name = name
        self._settings = settings
        self._file = file
        self._endpoint = endpoint
        self._forms = forms
        self._now = now
        self._tell = tell
        self._mark: Mark = None
        self._kept = Kept(file.made_for)
        self._is_read = False
        self._refresh: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self._forced = -_FORCED_PAUSE
        self._is_closed = False

    def start(self) -> None:
        """Keep the token fresh from here on, whether there is mail or not."""
        try:
            self._file.prepare()
        except OSError as error:
            log.event(events.TOKEN_UNWRITTEN, account=self._name, path=error.filename, reason=error.strerror)
        self._look()
        self._wait()

    async def close(self) -> None:
        """A refresh that is on its way may end: what it brings replaces what was given for it."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._refresh is not None:
            await asyncio.wait([self._refresh], timeout=_FAREWELL)
        if self._refresh is not None:
            self._refresh.cancel()

    async def token(self) -> str:
        """Good for long enough to log in with it. Raises NoToken."""
        self._look()
        if self._is_due():
            refresh = self._begin()
            if not self._is_good() and refresh is not None:
                #  Whoever is called off does not call it off for the others.
                await asyncio.shield(refresh)
        if not self._is_good():
            raise NoToken(standing_of(self._name, self._settings, self._kept, self._now()).text)
        return self._kept.token

    async def renewed(self, refused: str) -> str | None:
        """In place of a token that a server has `refused`. Raises NoToken."""
        self._look()
        if self._kept.token == refused and self._refresh is None:
            now = self._now()
            if now - self._forced < _FORCED_PAUSE:
                return None
            self._forced = now
            log.event(events.TOKEN_REFUSED, account=self._name)
            self._kept = replace(self._kept, expires=0.0)
        token = await self.token()
        return None if token == refused else token

    # -- what we have ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """At the file, if it is another one: somebody has logged in."""
        mark = self._file.mark()
        if self._is_read and mark == self._mark:
            return
        try:
            self._kept = self._file.read()
        except OSError as error:
            trouble = f"{error.filename}: cannot be read: {error.strerror}"
            self._kept = Kept(self._file.made_for, trouble=trouble, since=self._now())
        self._mark, self._is_read = mark, True
        self._pause, self._not_before = FIRST_PAUSE, 0.0

    def _is_good(self) -> bool:
        kept = self._kept
        margin = min(_MARGIN, (kept.expires - kept.obtained) / 10)
        return bool(kept.token) and self._now() < kept.expires - margin

    def _renew_at(self) -> float:
        """A token that lives for a minute only is not renewed all the time."""
        kept = self._kept
        return kept.expires - min(self._settings.ahead, max(kept.expires - kept.obtained, 0.0) / 2)

    def _is_due(self) -> bool:
        return not self._kept.token or self._now() >= self._renew_at()

    def _can_ask(self) -> bool:
        if self._settings.grant.needs_person:
            return bool(self._kept.refresh_token)
        return True

    # -- a new one -------------------------------------------------------------------------------------------------

    def _begin(self) -> asyncio.Task[None] | None:
        """One refresh for all who want it; None when it is no use, or too early."""
        if self._refresh is None and self._can_ask() and self._now() >= self._not_before:
            self._refresh = asyncio.ensure_future(self._renew())
            self._refresh.add_done_callback(self._ended)
        elif self._refresh is None and self._kept.is_lost and not self._kept.is_told:
            self._refresh = asyncio.ensure_future(self._tell_postmaster())
            self._refresh.add_done_callback(self._ended)
        return self._refresh

    def _ended(self, refresh: asyncio.Task[None]) -> None:
        self._refresh = None
        if refresh.cancelled():
            return
        if (fault := refresh.exception()) is not None:
            log.event(events.FAULT, reason=f"{type(fault).__name__}: {fault}", account=self._name)
            self._not_before = self._now() + LONGEST_PAUSE
        self._wait()

    def _wait(self) -> None:
        """Until it is time for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = max(self._renew_at() if self._kept.token else 0.0, self._not_before)
        if self._can_ask() and at < _NEVER and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(max(at - self._now(), 0.0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._look()
        if not self._is_due() or self._begin() is None:
            self._wait()

    async def _renew(self) -> None:
        asked_with, mark = self._kept, self._mark
        try:
            answer = parse_token_answer(*await self._endpoint.ask(self._forms.places.token, self._form()))
        except EndpointDown as down:
            answer = Unavailable(str(down))
        except ValueError as error:  #  what we show ourselves with cannot be read
            answer = Refused("unusable", str(error))
        if self._file.mark() != mark:
            #  Somebody has logged in while we asked; theirs is the newer word.
            self._look()
            return
        match answer:
            case Granted():
                await self._keep(granted(asked_with, answer, self._now()))
                self._pause, self._not_before = FIRST_PAUSE, 0.0
                log.event(events.TOKEN_RENEWED, account=self._name, seconds=int(answer.lifetime))
            case Refused():
                await self._note_refusal(answer)
            case Unavailable() | Pending():
                await self._note_trouble(answer.text if isinstance(answer, Unavailable) else "it asks us to wait")

    def _form(self) -> Form:
        if self._settings.grant.needs_person:
            return self._forms.refresh(self._kept.refresh_token)
        return self._forms.own()

    async def _note_trouble(self, text: str) -> None:
        """It will be better later."""
        self._not_before = self._now() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if text != self._kept.trouble:
            log.event(events.TOKEN_TROUBLE, account=self._name, reason=text)
            await self._keep(replace(self._kept, trouble=text, since=self._now()))

    async def _note_refusal(self, refused: Refused) -> None:
        """A consent that is gone does not come back by asking (until we start anew, or somebody has logged in); what
        else there is may be set right meanwhile."""
        is_final = refused.error == "invalid_grant" and self._settings.grant.needs_person
        self._not_before = _NEVER if is_final else self._now() + REFUSED_PAUSE
        kept = self._kept
        is_new = not kept.is_lost
        #  A token that is still good is used to its end: the provider knows what it takes.
        since = self._now() if is_new else kept.since
        await self._keep(replace(kept, trouble=refused.text, is_lost=True, since=since))
        if is_new:
            log.event(events.CONSENT_LOST, account=self._name, reason=refused.text)
        await self._tell_postmaster()

    async def _tell_postmaster(self) -> None:
        kept = self._kept
        if kept.is_told:
            return
        try:
            await self._tell(*notice(self._name, kept.trouble))
        except OSError as error:
            log.event(events.SPOOL_TROUBLE, account=self._name, reason=f"no notice to the postmaster: {error}")
            return
        await self._keep(replace(self._kept, is_told=True))

    async def _keep(self, kept: Kept) -> None:
        """Whatever the disk says, it is in force."""
        self._kept = kept
        try:
            self._mark = await asyncio.to_thread(self._file.write, kept)
        except OSError as error:
            log.event(events.TOKEN_UNWRITTEN, account=self._name, path=error.filename, reason=error.strerror)


def granted(kept: Kept, answer: Granted, now: float) -> Kept:
    """A provider that gives no new refresh token means us to keep the old one (RFC 6749 §6)."""
    refresh_token = answer.refresh_token or kept.refresh_token
    return Kept(kept.made_for, answer.token, now, now + answer.lifetime, refresh_token)


def notice(name: str, reason: str) -> tuple[str, str]:
    """Subject and text."""
    subject = f"No token for the account {name}: mail to its smarthost waits"
    text = f"""\
The OAuth provider gives no token any more for the account {name} of the
configuration. It says:

    {reason}

Most often the consent was withdrawn, a password was changed, or a secret or
certificate has expired. Mail that leaves through this account waits, none of it
is returned before its lifetime (retry.lifetime) is over.

What to do: log in again with

    mercury login {name}

or set right what is configured for it, and reload MercuryC. Waiting mail goes
at its next turn, or at once with "mercury queue retry --all".

This notice comes once, until there has been a token again.
"""
    return subject, text
