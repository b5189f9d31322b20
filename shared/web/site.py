"""The adapter to twisted.web: requests become values (exchange.py), answers become responses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from twisted.web import resource, server

from shared.observe.faults import fault
from shared.observe.log import log
from shared.web.answers import Answers
from shared.web.exchange import COOKIE, Answer, Query, refusal
from shared.web.gate import HEADERS, TOKEN
from shared.web.session import Sessions
from shared.web.stream import Stream, Streams

STREAM = "/api/stream"
#  Octets of a request's body: a selection of ids, a reason.
LARGEST_BODY = 64 * 1024
#  And how much of one that is too large is read to its end, to say so.
MOST_SWALLOWED = 4 * 1024 * 1024
#  Seconds that a connection may be idle between two requests.
IDLE = 60


class SmallRequest(server.Request):
    """A body that is too large is not kept anywhere; one without an end ends the connection."""

    _left = LARGEST_BODY

    @property
    def is_too_large(self) -> bool:
        return self._left < 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0 if length is None or length > LARGEST_BODY else length)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]
        elif self._left < -MOST_SWALLOWED and self.channel is not None:
            self.channel.forceAbortClient()  # type: ignore[no-untyped-call]


class Page(resource.Resource):
    """Every path."""

    isLeaf = True

    def __init__(self, answers: Answers, sessions: Sessions, streams: Streams) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answers = answers
        self._sessions = sessions
        self._streams = streams
        self._tasks: set[asyncio.Task[None]] = set()

    def render(self, request: Any) -> int:
        if request.is_too_large:
            _put(request, refusal(413, "too much at once"))
            return server.NOT_DONE_YET
        query = _query_of(request)
        if query.path == STREAM and query.method == "GET":
            self._begin_stream(request, query)
            return server.NOT_DONE_YET
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        task = asyncio.ensure_future(self._answer(request, query, gone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return server.NOT_DONE_YET

    async def _answer(self, request: Any, query: Query, gone: list[object]) -> None:
        try:
            answer = await self._answers.answer(query)
            if query.path == "/api/act":
                self._streams.look_now()
        except Exception as error:
            fault(log, error, "the status page")
            answer = refusal(500, "a fault of the page; see its log")
        if not gone:
            _put(request, answer, has_body=query.method != "HEAD")

    def _begin_stream(self, request: Any, query: Query) -> None:
        refused = self._answers.refuse(query)
        if refused is None and self._sessions.find(query.cookie) is None:
            refused = refusal(401, "log in first")
        if refused is not None:
            _put(request, refused)
            return

        def finish() -> None:
            request.unregisterProducer()
            request.finish()

        stream = Stream(request.write, finish, lambda: self._sessions.find(query.cookie) is not None)
        if not self._streams.add(stream):
            _put(request, refusal(503, "too many pages are open"))
            return
        _head(request, 200, {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        request.registerProducer(_Reader(stream), True)
        request.notifyFinish().addBoth(lambda _: self._streams.remove(stream))
        request.write(b"retry: 3000\n\n")


class _Reader:
    """Hears whether the page reads what it is sent."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def pauseProducing(self) -> None:
        self._stream.is_stalled = True

    def resumeProducing(self) -> None:
        self._stream.is_stalled = False

    def stopProducing(self) -> None:
        pass


def make_site(page: Page) -> server.Site:
    site: Any = server.Site(page, requestFactory=SmallRequest, timeout=IDLE)  # type: ignore[no-untyped-call]
    site.noisy = False
    site.displayTracebacks = False
    #  Requests are no events: what matters of them (logins, refusals, acts) is said where it happens.
    site.log = lambda request: None
    made: server.Site = site
    return made


def _query_of(request: Any) -> Query:
    def header(name: str) -> str | None:
        value = request.getHeader(name.encode())
        return value.decode("latin-1") if value is not None else None

    cookie = request.getCookie(COOKIE.encode())
    return Query(
        method=request.method.decode("latin-1"),
        path=request.path.decode("latin-1"),
        fields={_text(name): _text(values[0]) for name, values in request.args.items()},
        host=header("host") or "",
        origin=header("origin"),
        fetch_site=header("sec-fetch-site"),
        cookie=_text(cookie or b""),
        token=header(TOKEN),
        content_type=header("content-type") or "",
        body=request.content.read(),
        is_secure=header("x-forwarded-proto") == "https",
    )


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _put(request: Any, answer: Answer, has_body: bool = True) -> None:
    length = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
    _head(request, answer.status, {**HEADERS, **length, **answer.headers})
    if has_body:
        request.write(answer.body)
    request.finish()


def _head(request: Any, status: int, headers: Mapping[str, str]) -> None:
    #  Twisted has no word for the newer ones, 421 among them.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    for name, value in headers.items():
        request.setHeader(name, value)
    request.responseHeaders.removeHeader(b"server")
