"""Listeners and their connections: sockets, time-outs, TLS. A thin pump between Twisted and a Session.

Who may connect is policy/client.py, what is said is session.py. TCP_NODELAY is always set: a reply must never wait
for the acknowledgement of the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from mercury_s.door import Door, ListenerTerms, Visitors
from mercury_s.policy.client import ClientFacts, Welcome, decide_client
from mercury_s.policy.verdict import Refuse
from mercury_s.session import Session
from shared.observe import events
from shared.observe.log import log
from shared.routing.decide import site_of_client

#  After our last word a client has this long to close; then the connection is cut.
_LAST_WORD_SECONDS = 5.0


class SmtpListener(Factory):
    """One configured port. `door` is asked for at each connection, so that a reload reaches the next client."""

    noisy = False

    def __init__(
        self,
        door: Callable[[], Door],
        terms: Callable[[], ListenerTerms],
        visitors: Visitors,
        tls_context: Callable[[], Any] | None,
        clock: IReactorTime,
    ) -> None:
        self.door = door
        self.terms = terms
        self.visitors = visitors
        self.tls_context = tls_context
        self.clock = clock
        self.sessions: set[SmtpConnection] = set()

    def buildProtocol(self, address: Any) -> Protocol:
        return SmtpConnection(self, address.host)

    def leave(self) -> None:
        """End every session that has nothing in hand; the others end themselves after their 250."""
        for connection in list(self.sessions):
            connection.leave()


class SmtpConnection(Protocol):
    """The Wire of one session."""

    transport: Any

    def __init__(self, listener: SmtpListener, address: str) -> None:
        self._listener = listener
        self._address = address
        self._session: Session | None = None
        self._deadline = 0.0
        self._timer: Any = None
        self._idle = 0.0
        self._is_paused = False
        self._is_closing = False

    # ---- from Twisted ---------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        listener = self._listener
        door, terms = listener.door(), listener.terms()
        welcome = decide_client(self._facts(door, terms), door.rules)
        if isinstance(welcome, Refuse):
            self._turn_away(welcome)
            return
        self._enter(door, terms, welcome)

    def dataReceived(self, data: bytes) -> None:
        session = self._session
        if session is None or self._is_closing:
            return
        self._deadline = self._listener.clock.seconds() + self._idle
        session.receive(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        session, self._session = self._session, None
        if session is not None:
            self._listener.visitors.leave(self._address)
            self._listener.sessions.discard(self)
            session.lost()
            log.event(events.SESSION_CLOSED, client=self._address, reason=session.end, messages=session.messages)

    # ---- the Wire -------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def start_tls(self) -> None:
        assert self._listener.tls_context is not None
        self.transport.startTLS(self._listener.tls_context())
        self.transport.setTcpNoDelay(True)

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.resume()
        self.transport.loseConnection()
        self._deadline = self._listener.clock.seconds() + _LAST_WORD_SECONDS
        self._arm(_LAST_WORD_SECONDS)

    def pause(self) -> None:
        if not self._is_paused and not self._is_closing:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._deadline = self._listener.clock.seconds() + self._idle
            self.transport.resumeProducing()

    def tls_words(self) -> str:
        connection = self.transport.getHandle()
        version = getattr(connection, "get_protocol_version_name", None)
        if version is None:
            return ""
        return f"{version()} with {connection.get_cipher_name()}"

    # ---- its life -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        if self._session is not None:
            self._session.leave()

    def _facts(self, door: Door, terms: ListenerTerms) -> ClientFacts:
        visitors = self._listener.visitors
        site = site_of_client(door.table, self._address)
        return ClientFacts(
            self._address,
            site.name if site else "",
            terms.networks,
            terms.relay,
            visitors.all_sessions(),
            visitors.all_of_client(self._address),
            door.most_sessions,
            door.most_sessions_of_client,
        )

    def _enter(self, door: Door, terms: ListenerTerms, welcome: Welcome) -> None:
        self._listener.visitors.enter(self._address)
        self._listener.sessions.add(self)
        self._idle = door.idle_seconds
        self._deadline = self._listener.clock.seconds() + self._idle
        self._arm(self._idle)
        log.event(events.SESSION_OPENED, client=self._address, reason=welcome.reason)
        self._session = Session(door, terms, welcome, self._address, self)
        self._session.begin()

    def _turn_away(self, refusal: Refuse) -> None:
        log.event(events.SESSION_REFUSED, client=self._address, reply=str(refusal.reply), reason=refusal.reason)
        self.transport.write(refusal.reply.render())
        self.close()

    def _arm(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._listener.clock.callLater(seconds, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """One timer a connection, moved only when it rings: a busy session costs it nothing."""
        left = self._deadline - self._listener.clock.seconds()
        if left > 0 or self._is_paused:
            self._arm(max(left, 1.0))
        elif self._is_closing:
            self.transport.abortConnection()
        elif self._session is not None:
            log.event(events.SESSION_TIMED_OUT, client=self._address, seconds=self._idle)
            self._session.timed_out()
