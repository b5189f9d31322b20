"""TLS begun on a connection that is open (RFC 3207): Twisted's, without what it does there that nobody asks for.

Twisted's class keeps its say in the handshake, errors and the end. Left out: declaring for each connection every
interface that its transport has (a third of what a message with STARTTLS cost), holding small writes back for a turn
of the loop, and asking OpenSSL once more after each piece whether there is more, when the records say there is not.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

#  RFC 8446 §5.1: type, version and length stand before each record, and a record holds 16 KiB at most.
_HEAD = 5
_MOST_OF_A_RECORD = 16 * 1024


def start_tls(connection: Any, creator: Any, is_client: bool) -> None:
    """As `connection.startTLS(creator)`, for a connection of Twisted's on TCP that has no producer."""
    tls = PromptTls(_Creator(creator, is_client), connection.protocol)
    connection.protocol = tls
    connection.getHandle = tls.getHandle
    connection.getPeerCertificate = tls.getPeerCertificate
    connection.TLS = True
    tls.makeConnection(_Beneath(connection))


class PromptTls(TLSMemoryBIOProtocol):
    """`_records` have come whole and are not read yet; `_lacking` octets of the last one are still to come, -1 when
    nobody knows."""

    def __init__(self, factory: _Creator, wrapped: Any) -> None:
        super().__init__(factory, wrapped, False)  # type: ignore[no-untyped-call]
        self._records = 0
        self._lacking = 0
        self._has_flushed = False

    def makeConnection(self, transport: Any) -> None:
        self._tlsConnection = self.factory.create(self)  # type: ignore[attr-defined]
        self._appSendBuffer: list[bytes] = []
        Protocol.makeConnection(self, transport)  # type: ignore[no-untyped-call]
        self._checkHandshakeStatus()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        self._has_flushed = False
        self._count(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _count(self, data: bytes) -> None:
        """See how many records are whole with this. One whose head is cut in two is not worth following."""
        at = self._lacking
        if at == 0 and len(data) > _HEAD and _HEAD + (data[3] << 8) + data[4] == len(data):
            self._records += 1  #  as nearly always
            return
        if at < 0:
            return
        whole = 1 if 0 < at <= len(data) else 0
        while at + _HEAD <= len(data):
            at += _HEAD + int.from_bytes(data[at + 3 : at + _HEAD])
            whole += at <= len(data)
        self._lacking = at - len(data) if at >= len(data) else -1
        self._records += whole

    def _flushReceiveBIO(self) -> None:
        tls = self._tlsConnection
        while not self._lostTLSConnection and (self._records or self._lacking):
            #  Each `recv` uses up one record at least.
            self._records -= 1 if self._records else 0
            try:
                data = tls.recv(_MOST_OF_A_RECORD)
            except SSL.WantReadError:
                self._records = 0
                break
            except SSL.ZeroReturnError:
                self._shutdownTLS()  # type: ignore[no-untyped-call]
                self._tlsShutdownFinished(None)  # type: ignore[no-untyped-call]
            except SSL.Error:
                self._tlsShutdownFinished(Failure())  # type: ignore[no-untyped-call]
            else:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(data)
        if not self._has_flushed:
            self._flushSendBIO()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        #  So that the connection goes with its last name, and not when the collector finds it.
        self.transport = None

    def _flushSendBIO(self) -> None:
        self._has_flushed = True
        super()._flushSendBIO()  # type: ignore[no-untyped-call]


class _Creator:
    """What a PromptTls, and Twisted's own creators for clients, want of a factory."""

    wrappedFactory = None

    def __init__(self, creator: Any, is_client: bool) -> None:
        self._creator = creator
        self._is_client = is_client

    def create(self, tls: PromptTls) -> SSL.Connection:
        if self._is_client:
            connection: SSL.Connection = self._creator.clientConnectionForTLS(tls)
            connection.set_connect_state()
        else:
            connection = self._creator.serverConnectionForTLS(tls)
            connection.set_accept_state()
        connection.set_app_data(tls)
        return connection

    def unregisterProtocol(self, tls: PromptTls) -> None:
        pass


class _Beneath:
    """The connection without its TLS: what TLS itself speaks to. What the socket takes leaves at once."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._leave = getattr(connection, "leave", None) or partial(FileDescriptor.loseConnection, connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write(self, data: bytes) -> None:
        it = self._connection
        if not (it.dataBuffer or it._tempDataBuffer) and it.connected and not it.disconnecting:
            try:
                data = data[it.socket.send(data) :]
            except OSError:
                pass  #  The loop finds the same, and then tells the protocol.
        if data:
            FileDescriptor.write(it, data)

    def loseConnection(self) -> None:
        self._leave()

    def registerProducer(self, producer: Any, is_streaming: bool) -> None:
        FileDescriptor.registerProducer(self._connection, producer, is_streaming)

    def unregisterProducer(self) -> None:
        FileDescriptor.unregisterProducer(self._connection)
