"""What the page answers: who may ask, what is asked of the office, and in what form it is told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared.config.web import WebSettings
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.service.control_client import Unanswered
from shared.spool.ids import normalize_id
from shared.spool.queue_entry import QUEUED
from shared.survey.listing import Listing
from shared.web.doorkeeper import Busy, Doorkeeper
from shared.web.exchange import Answer, Query, cookie_header, json_answer, refusal
from shared.web.gate import is_from_elsewhere, is_our_name
from shared.web.office import MOST_ROWS, Office
from shared.web.session import Role, Session, Sessions

DAY = 86400.0
LONGEST_REASON, LONGEST_TEXT = 500, 200
_LANES = {lane.word: lane for lane in Lane}


class Answers:
    """`files` are those of the page by path."""

    def __init__(
        self,
        settings: Callable[[], WebSettings],
        office: Callable[[], Office],
        sessions: Sessions,
        doorkeeper: Doorkeeper,
        files: Mapping[str, Answer],
    ) -> None:
        self._settings = settings
        self._office = office
        self._sessions = sessions
        self._doorkeeper = doorkeeper
        self._files = files
        self._looks: dict[str, Callable[[Query], Awaitable[dict[str, Any]]]] = {
            "/api/queue": self._queue,
            "/api/message": self._message,
            "/api/find": self._find,
        }

    async def answer(self, query: Query) -> Answer:
        refused = self.refuse(query)
        if refused is not None:
            return refused
        if query.method in ("GET", "HEAD") and query.path in self._files:
            return self._files[query.path]
        if query.path == "/api/login" and query.method == "POST":
            return await self._login(query)
        if not query.path.startswith("/api/"):
            return refusal(404, "there is nothing here")
        found = self._sessions.find(query.cookie)
        if found is None:
            return refusal(401, "log in first")
        try:
            return await self._known(query, *found)
        except (ValueError, KeyError) as error:
            return refusal(400, str(error))
        except OSError as error:
            return refusal(503, f"{error.filename or 'the spool'}: {error.strerror or error}")

    def refuse(self, query: Query) -> Answer | None:
        """By where it comes from; None: it may be answered."""
        if not is_our_name(query.host, self._settings().hosts):
            log.event(events.PAGE_REQUEST_REFUSED, host=query.host, path=query.path)
            return refusal(421, "the page is not called so; see `web.hosts`")
        is_change = query.method not in ("GET", "HEAD")
        #  The page itself may be come to by a link from elsewhere; it tells nothing.
        is_open = query.path in self._files and not is_change
        if not is_open and is_from_elsewhere(query.host, query.origin, query.fetch_site, is_change):
            log.event(events.PAGE_REQUEST_REFUSED, host=query.host, origin=query.origin, path=query.path)
            return refusal(403, "this was not asked by the page itself")
        return None

    async def _known(self, query: Query, session: Session, role: Role) -> Answer:
        if query.method in ("GET", "HEAD"):
            if query.path == "/api/me":
                return json_answer({"person": session.person, "role": role, "token": session.token})
            look = self._looks.get(query.path)
            return json_answer(await look(query)) if look else refusal(404, "there is nothing here")
        if query.method != "POST" or query.path not in ("/api/logout", "/api/act"):
            return refusal(405, "this cannot be done here")
        if not session.has_token(query.token):
            return refusal(403, "the token of the login is missing; load the page again")
        if query.path == "/api/logout":
            self._sessions.end(query.cookie)
            return json_answer({}, headers={"Set-Cookie": cookie_header("", 0, query.is_secure)})
        if role is not Role.OPERATOR:
            return refusal(403, "you may look, not act; `web.operators` says who may")
        return await self._act(query, session)

    # ---- in and out ----

    async def _login(self, query: Query) -> Answer:
        try:
            given = query.json()
        except ValueError as error:
            return refusal(400, str(error))
        person, password = given.get("person"), given.get("password")
        if not isinstance(person, str) or not isinstance(password, str):
            return refusal(400, "say person and password")
        try:
            account = await self._doorkeeper.check(person.strip(), password)
        except Busy:
            return refusal(429, "too many logins at once; try again", {"Retry-After": "10"})
        if account is None:
            log.event(events.PAGE_LOGIN_REFUSED, login=person)
            return refusal(403, "wrong address or password, or no right to see this page")
        self._sessions.end(query.cookie)
        cookie = self._sessions.begin(account)
        found = self._sessions.find(cookie)
        assert found is not None, "it has begun just now"
        session, role = found
        log.event(events.PAGE_LOGIN_ACCEPTED, login=session.person, role=str(role))
        header = cookie_header(cookie, self._settings().session, query.is_secure)
        fields = {"person": session.person, "role": role, "token": session.token}
        return json_answer(fields, headers={"Set-Cookie": header})

    # ---- looking ----

    async def _queue(self, query: Query) -> dict[str, Any]:
        lane, step = query.word("lane"), query.word("step")
        return await self._office().listing(
            Listing(
                lanes=(_LANES[lane],) if lane else QUEUED,
                site=query.fields.get("site"),
                step=int(step) if step else None,
                group=query.word("group"),
                text=query.word("text")[:LONGEST_TEXT],
            )
        )

    async def _message(self, query: Query) -> dict[str, Any]:
        return await self._office().message(normalize_id(query.word("id")))

    async def _find(self, query: Query) -> dict[str, Any]:
        texts = tuple(query.word("text")[:LONGEST_TEXT].split())
        if not texts:
            raise ValueError("say what to look for")
        days = min(max(float(query.word("days") or 7), 0.01), 3650)
        return await self._office().find(texts, time.time() - days * DAY)

    # ---- acting ----

    async def _act(self, query: Query, session: Session) -> Answer:
        given = query.json()
        entries, reason = given.get("entries"), given.get("reason", "")
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_ROWS or not isinstance(reason, str):
            raise ValueError(f"say up to {MOST_ROWS} entries, and why")
        chosen = [_entry(entry) for entry in entries]
        reason = printable(" ".join(reason.split()))[:LONGEST_REASON]
        try:
            done = await self._office().act(str(given.get("verb")), chosen, reason, session.person)
        except Unanswered as trouble:
            return refusal(503, str(trouble))
        return json_answer(done)


def _entry(given: object) -> dict[str, str]:
    """Raises ValueError."""
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        raise ValueError("an entry has an id, and maybe a lane")
    lane = given.get("lane", "")
    if lane and lane not in _LANES:
        raise ValueError(f"there is no lane {lane!r}")
    return {"id": normalize_id(given["id"]), "lane": lane}
