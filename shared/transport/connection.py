"""One TCP connection to a next hop: the pump between a socket and a conversation (shared/smtp/client.py).

Here: bytes, TLS, deadlines and backpressure. Nothing here knows what SMTP means, or which message comes next
(pool.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.reply import printable
from shared.smtp.client import Conversation
from shared.smtp.client_events import Ended, Finished, Opened, Security, TlsWanted
from shared.smtp.ehlo import Extensions
from shared.smtp.judge import End
from shared.tls.client import RememberedServer, channel_binding, verification_problem
from shared.transport.pace import Pace, PacedWriter
from shared.transport.prompt_tls import start_tls
from shared.transport.reason import explain

#  How long a connection that is being closed may take to send what is left.
LAST_WORDS = 5.0
#  Ends after which nothing is left on the way that the server could take for a whole message.
_ORDERLY = frozenset({End.GOODBYE, End.CLOSING})
_NEVER = float("inf")
#  Of a large message, sent without asking the reactor whether the socket takes it.
_PIECES_AT_ONCE = 8


@implementer(IHandshakeListener, IPushProducer)
class SmtpConnection(Protocol):
    """`opened` is called once: with None when messages may be sent, otherwise with the reason why they never will.

    After that `finished` is called for each message, `hungry` when another may be given to `follow`, `ended` once.
    """

    def __init__(
        self,
        clock: IReactorTime,
        conversation: Conversation,
        tls: RememberedServer | None,
        implicit_tls: bool,
        host: str,
        opened: Callable[[SmtpConnection, Ended | None], None],
    ) -> None:
        self.host = host
        self.messages = 0
        self.tls_version = ""
        self.finished: Callable[[SmtpConnection, Finished], None] = _nobody_listens
        self.ended: Callable[[SmtpConnection, Ended], None] = _nobody_listens
        self.hungry: Callable[[SmtpConnection], None] | None = None
        self._clock = clock
        self._conversation = conversation
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._opened = opened
        self._socket: tcp.Connection | None = None
        self._is_producing = False
        self._is_paused = False
        self._is_opened = False
        self._is_lost = False
        self._is_remembered = False
        self._seen_moves = -1
        self._idle_time = 0.0
        self._deadline = self._rings_at = _NEVER
        self._timer: IDelayedCall | None = None
        self._paced: PacedWriter | None = None

    # -- for the pool ----------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        return self._conversation.is_idle

    @property
    def is_leaving(self) -> bool:
        return self._conversation.is_leaving

    @property
    def is_over(self) -> bool:
        return self._conversation.is_over

    @property
    def security(self) -> Security | None:
        """What the TLS handshake came to; None in clear."""
        return self._conversation.security

    @property
    def offer(self) -> Extensions:
        """What the server said in its answer to EHLO."""
        return self._conversation.extensions

    @property
    def limits(self) -> Mapping[str, int]:
        """What the server said about itself (RFC 9422)."""
        return self._conversation.extensions.limits

    def slow_down(self, pace: Pace) -> None:
        """Write no faster than that from here on."""
        self._paced = PacedWriter(pace, self._write_now, self._drained)

    def send(self, envelope: Envelope, recipients: Sequence[Recipient], content: Content) -> None:
        self.messages += 1
        self._conversation.send(envelope, recipients, content)
        self._pump()

    def follow(self, envelope: Envelope, recipients: Sequence[Recipient], content: Content) -> None:
        """The next message, while the last one waits for its answer. Call it only from within `hungry`."""
        self.messages += 1
        self._conversation.send(envelope, recipients, content)

    def rest(self, seconds: float) -> None:
        """There is nothing to send; say goodbye if that lasts `seconds`."""
        self._idle_time = seconds
        self._watch()

    def quit(self) -> None:
        """Say goodbye and close."""
        if self._conversation.is_idle:
            self._conversation.quit()
            self._pump()

    def abort(self, reason: str) -> None:
        """Drop the connection now."""
        self._conversation.lost(reason)
        self._pump()

    def remember_session(self) -> None:
        """Keep the TLS session, so that the next connection is cheaper."""
        if self._is_remembered:
            return
        self._is_remembered = True
        if self._tls is not None and self._conversation.is_secure:
            transport: Any = self.transport
            self._tls.remember(transport.getHandle())

    # -- called by Twisted -----------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        if self._implicit_tls:
            transport.startTLS(self._tls)
        elif isinstance(transport, tcp.Connection):
            self._socket = transport
        self._watch()

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        problem = self._tls.problem(transport.getHandle()) if self._tls else ""
        if problem:
            self._conversation.lost(printable(problem))
        else:
            handle = transport.getHandle()
            binding = channel_binding(handle) if self._conversation.wants_binding else None
            security = self._tls.security(handle) if self._tls else None
            self.tls_version = security.protocol if security else ""
            self._conversation.secured(security, binding)
        self._pump()

    def dataReceived(self, data: bytes) -> None:
        self._conversation.receive(data)
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._conversation.lost(self._explain(reason))
        self._pump()

    def _explain(self, reason: Failure) -> str:
        words = explain(reason)
        if isinstance(reason.value, SSL.Error):
            transport: Any = self.transport
            problem = verification_problem(transport.getHandle())
            return f"{words} ({problem})" if problem else words
        return words

    # -- the pump --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        conversation = self._conversation
        data = conversation.take()
        if data:
            self._write(data)
        if conversation.wants_body and not self._is_producing:
            body = conversation.next_body()
            if self.hungry is not None and conversation.takes_next:
                #  The next message begins in the same packet.
                self.hungry(self)
                body += conversation.take()
            self._write(body)
            if conversation.wants_body:
                self._begin_producing()
        elif self._is_producing and not conversation.wants_body:
            self._end_producing()
        for event in conversation.events():
            #  Opened and Finished may lead straight to the next message, and so back into here.
            match event:
                case Finished():
                    self.finished(self, event)
                case TlsWanted():
                    self._start_tls()
                case Opened():
                    self._is_opened = True
                    self._opened(self, None)
                case Ended():
                    self._close(event)
        self._watch()

    def _write(self, data: bytes) -> None:
        if self._paced is None:
            self._write_now(data)
        else:
            self._paced.write(data)

    def _write_now(self, data: bytes) -> None:
        """At once when nothing is queued: one system call instead of a turn of the reactor."""
        socket: Any = self._socket
        if socket is not None and socket.connected and not (socket.dataBuffer or socket._tempDataBuffer):
            written = socket.writeSomeData(data)
            if written == len(data):
                return
            if isinstance(written, int):
                data = data[written:]
        transport: Any = self.transport
        transport.write(data)

    def _start_tls(self) -> None:
        is_tcp, self._socket = self._socket is not None, None
        transport: Any = self.transport
        if is_tcp:
            start_tls(transport, self._tls, True)
        else:
            transport.startTLS(self._tls)

    def _close(self, ended: Ended) -> None:
        self._socket = None
        if self._paced is not None:
            self._paced.stop()
        if not self._is_lost:
            transport: Any = self.transport
            farewell = self._conversation.take()
            if farewell or ended.end in _ORDERLY:
                transport.write(farewell)
                transport.loseConnection()
                #  A server that reads nothing does not keep the socket for ever.
                self._deadline = self._clock.seconds() + LAST_WORDS
                self._set_timer()
            else:
                transport.abortConnection()
        if self._is_opened:
            self.ended(self, ended)
        else:
            self._opened(self, ended)

    # -- producing a large body ------------------------------------------------------------------------------------

    def _begin_producing(self) -> None:
        self._is_producing, self._is_paused = True, False
        transport: Any = self.transport
        transport.registerProducer(self, True)
        self.resumeProducing()

    def _end_producing(self) -> None:
        self._is_producing = False
        if not self._is_lost:
            transport: Any = self.transport
            transport.unregisterProducer()

    def resumeProducing(self) -> None:
        self._is_paused = False
        conversation = self._conversation
        transport: Any = self.transport
        paced = self._paced
        write = self._write_now if paced is None else paced.write
        left = _PIECES_AT_ONCE
        while conversation.wants_body and not self._is_paused and not (paced is not None and paced.is_holding):
            write(conversation.next_body())
            left -= 1
            if not left and paced is None:
                #  The rest by way of the reactor, which comes back for more when others have had their turn.
                write = transport.write
        if conversation.wants_body:
            self._watch()
        else:
            self._pump()

    def _drained(self) -> None:
        """All that was held for the pace is out. What the server owes, it owes from now on."""
        self._seen_moves = -1
        if self._is_producing and not self._is_paused:
            self.resumeProducing()
        else:
            self._watch()

    def pauseProducing(self) -> None:
        self._is_paused = True

    def stopProducing(self) -> None:
        self._is_paused = True

    # -- deadlines -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Set the deadline anew when the conversation has moved. The timer itself is moved as rarely as possible."""
        conversation = self._conversation
        if conversation.is_over:
            return
        timeout = conversation.timeout
        if timeout is None:
            self._deadline = self._clock.seconds() + self._idle_time if self._idle_time else _NEVER
        elif conversation.moves != self._seen_moves:
            self._seen_moves = conversation.moves
            self._deadline = self._clock.seconds() + timeout
        if self._deadline < self._rings_at:
            self._set_timer()

    def _set_timer(self) -> None:
        """It rings at the deadline, or before."""
        if self._is_lost or self._deadline >= self._rings_at:
            return
        self._rings_at = self._deadline
        delay = max(0.0, self._deadline - self._clock.seconds())
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._timer_rang)
        else:
            self._timer.reset(delay)

    def _timer_rang(self) -> None:
        self._timer, self._rings_at = None, _NEVER
        if self._clock.seconds() < self._deadline:
            self._set_timer()
        elif self._conversation.is_over:
            transport: Any = self.transport
            transport.abortConnection()
        elif self._paced is not None and self._paced.is_holding:
            self._deadline = self._clock.seconds() + (self._conversation.timeout or 0.0)
            self._set_timer()
        elif self._conversation.is_idle:
            self.quit()
        else:
            self._conversation.expired()
            self._pump()


def _nobody_listens(connection: SmtpConnection, event: Finished | Ended) -> None:
    """Until the pool has taken over."""
