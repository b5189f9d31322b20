"""Listeners and their connections: sockets, time-outs, TLS. A thin pump between Twisted and a Session.

Who may connect is admission.py, how long it may take policy/patience.py, what is said session.py. The sockets come
from shared/transport/prompt.py, with TCP_NODELAY set.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mercury_s.admission import admit
from mercury_s.alarms import Alarms
from mercury_s.auth.client_certificate import ClientCertificate, describe
from mercury_s.door import Door, ListenerTerms, Visitors
from mercury_s.overheard import OverheardSession
from mercury_s.policy.client import Welcome
from mercury_s.policy.crowd import descriptors_for_sessions, is_crowded
from mercury_s.policy.patience import Moment, Patience, Phase, deadline
from mercury_s.policy.verdict import Refuse
from mercury_s.proxied import is_in
from mercury_s.session import Session
from shared.observe import events
from shared.observe.log import log
from shared.observe.tap import tap

#  After our last word a client has this long to close; then the connection is cut.
_LAST_WORD_SECONDS = 5.0
#  RFC 9266 §2
_BINDING_LABEL, _BINDING_SIZE = b"EXPORTER-Channel-Binding", 32
#  How often strangers are looked at while there are nearly too many sessions.
_SWEEP_SECONDS = 1.0


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
        self.alarms = Alarms(clock)
        self.sessions: set[SmtpConnection] = set()
        self.is_crowded = False
        self.most_descriptors = descriptors_for_sessions(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    def buildProtocol(self, address: Any) -> Protocol:
        return SmtpConnection(self, address.host)

    def leave(self) -> None:
        """End every session that has nothing in hand; the others end themselves after their 250."""
        for connection in list(self.sessions):
            connection.leave()

    def note_crowd(self) -> None:
        """Called when one more has come in. While it is crowded, strangers' short times are kept by a look at all."""
        if not self.is_crowded and is_crowded(self.visitors.all_sessions(), self.door().most_sessions):
            self.is_crowded = True
            log.event(events.SESSIONS_CROWDED, sessions=self.visitors.all_sessions())
            self.clock.callLater(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        if not is_crowded(self.visitors.all_sessions(), self.door().most_sessions):
            self.is_crowded = False
            log.event(events.SESSIONS_AT_EASE, sessions=self.visitors.all_sessions())
            return
        now = self.clock.seconds()
        for connection in list(self.sessions):
            connection.end_if_late(now)
        self.clock.callLater(_SWEEP_SECONDS, self._sweep)


@implementer(IHandshakeListener)
class SmtpConnection(Protocol):
    """The Wire of one session. `_since` is when we last said something, `_heard` and `_octets` what came after it."""

    transport: Any

    def __init__(self, listener: SmtpListener, address: str) -> None:
        self._listener = listener
        self._address = address
        self._session: Session | None = None
        self._alarm: int | None = None
        self._patience: Patience | None = None
        self._since = self._heard = self._entered = 0.0
        self._octets = 0
        self._is_known = False
        self._may_introduce = False
        self._is_shaking = False
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False

    # ---- from Twisted ---------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        terms = self._listener.terms()
        self._may_introduce = is_in(self._address, terms.xclient)
        self._admit(terms, is_encrypted=False)

    def _admit(self, terms: ListenerTerms, is_encrypted: bool) -> None:
        """Let the client in, or turn it away."""
        listener, door = self._listener, self._listener.door()
        descriptor = self.transport.fileno()
        answer = admit(door, terms, listener.visitors, self._address, descriptor, listener.most_descriptors)
        if isinstance(answer, Refuse):
            self._turn_away(answer)
        else:
            self._is_known = answer.is_known
            self._enter(door, terms, answer.welcome, is_encrypted)

    def handshakeCompleted(self) -> None:
        self._is_shaking = False
        self._since = self._listener.clock.seconds()

    def dataReceived(self, data: bytes) -> None:
        session = self._session
        if session is None or self._is_closing:
            return
        self._heard = self._listener.clock.seconds()
        self._octets += len(data)
        session.receive(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._is_lost = True
        if self._alarm is not None:
            self._listener.alarms.cancel(self, self._alarm)
        self._depart()

    def _depart(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._listener.visitors.leave(self._address)
            self._listener.sessions.discard(self)
            session.lost()
            log.event(events.SESSION_CLOSED, client=self._address, reason=session.end, messages=session.messages)

    # ---- the Wire -------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self._since = self._listener.clock.seconds()
        self._octets = 0
        self.transport.write(data)

    def start_tls(self) -> None:
        assert self._listener.tls_context is not None
        self.transport.startTLS(self._listener.tls_context())
        self._is_shaking = True
        self._arm(self._left(self._listener.clock.seconds()))

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.resume()
        self.transport.loseConnection()
        if not self._is_lost and not getattr(self.transport, "ends_at_once", False):
            self._arm(_LAST_WORD_SECONDS)

    def pause(self) -> None:
        if not self._is_paused and not self._is_closing:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            #  It was us who did not listen: its time begins anew.
            self._since = self._heard = self._listener.clock.seconds()
            self._octets = 0
            self.transport.resumeProducing()

    def read_at_once(self, octets: int) -> None:
        self.transport.bufferSize = octets

    def introduce(self, address: str, is_encrypted: bool) -> None:
        self._depart()
        self._address = address or self._address
        self._admit(self._listener.terms(), is_encrypted)

    def channel_binding(self) -> bytes | None:
        connection = self.transport.getHandle()
        #  Before TLS 1.3 the exporter is only safe with an extension that we cannot see here (RFC 9266 §4.2).
        if getattr(connection, "get_protocol_version_name", str)() != "TLSv1.3":
            return None
        binding: bytes = connection.export_keying_material(_BINDING_LABEL, _BINDING_SIZE, b"")
        return binding

    def client_certificate(self) -> ClientCertificate | None:
        get = getattr(self.transport.getHandle(), "get_peer_certificate", None)
        certificate = get(as_cryptography=True) if get else None
        return describe(certificate) if certificate else None

    def tls_words(self) -> str:
        connection = self.transport.getHandle()
        version = getattr(connection, "get_protocol_version_name", None)
        if version is None:
            return ""
        return f"{version()} with {connection.get_cipher_name()}"

    def own_address(self) -> str:
        return str(self.transport.getHost().host)

    # ---- its life -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        if self._session is not None:
            self._session.leave()

    def describe(self) -> dict[str, str | float | int] | None:
        """For who looks at the live sessions; times are seconds ago. None: nobody is let in."""
        session = self._session
        if session is None:
            return None
        now = self._listener.clock.seconds()
        return {
            "client": self._address,
            "state": (Phase.HANDSHAKE if self._is_shaking else session.phase).value,
            "age": round(now - self._entered, 1),
            "silent": round(now - max(self._since, self._heard), 1),
            "messages": session.messages,
        }

    def _enter(self, door: Door, terms: ListenerTerms, welcome: Welcome, is_encrypted: bool) -> None:
        self._listener.visitors.enter(self._address)
        self._listener.sessions.add(self)
        self._listener.note_crowd()
        self._patience = door.patience
        self._is_shaking = terms.implicit_tls and not is_encrypted
        self._since = self._entered = self._listener.clock.seconds()
        self._arm(self._left(self._since))
        log.event(events.SESSION_OPENED, client=self._address, reason=welcome.reason)
        dialogue = tap.listen(self._address, "", self._address) if tap.is_on else None
        given = (door, terms, welcome, self._address, self, is_encrypted, self._may_introduce)
        self._session = Session(*given) if dialogue is None else OverheardSession(dialogue, *given)
        self._session.begin()

    def _turn_away(self, refusal: Refuse) -> None:
        log.event(events.SESSION_REFUSED, client=self._address, reply=str(refusal.reply), reason=refusal.reason)
        self.transport.write(refusal.reply.render())
        self.close()

    def _arm(self, seconds: float) -> None:
        alarms = self._listener.alarms
        if self._alarm is not None:
            alarms.cancel(self, self._alarm)
        self._alarm = alarms.set(self, seconds)

    def wake(self) -> None:
        """One alarm a connection, moved only when it rings: a busy session costs it nothing."""
        self._alarm = None
        if self._is_closing:
            self.transport.abortConnection()
        elif self._session is not None:
            now = self._listener.clock.seconds()
            if not self.end_if_late(now):
                self._arm(self._left(now))

    def end_if_late(self, now: float) -> bool:
        session, patience = self._session, self._patience
        if session is None or patience is None or self._is_paused or self._is_closing:
            return False
        phase = Phase.HANDSHAKE if self._is_shaking else session.phase
        if now < deadline(patience, phase, Moment(self._since, self._heard, self._octets), self._is_hurried(session)):
            return False
        log.event(events.SESSION_TIMED_OUT, client=self._address, reason=f"waiting for {phase.value}")
        if self._is_shaking:
            session.end = "timeout"
            self.transport.abortConnection()
        else:
            session.timed_out()
        return True

    def _is_hurried(self, session: Session) -> bool:
        return self._listener.is_crowded and not self._is_known and not session.is_trusted

    def _left(self, now: float) -> float:
        """When to look again. No step that may begin meanwhile can be over before."""
        patience, session = self._patience, self._session
        assert patience is not None
        longest = min(patience.command, patience.content)
        if self._is_shaking:
            return max(min(longest, self._since + patience.handshake - now), 0.0)
        if session is None or self._is_paused:
            return longest
        moment = Moment(self._since, self._heard, self._octets)
        left = deadline(patience, session.phase, moment, self._is_hurried(session)) - now
        return max(min(longest, left), 0.0)
