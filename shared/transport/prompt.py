"""Server connections that cost little: a reply leaves with the call that gave it, not with the loop's next turn.

Twisted queues every write and asks the loop when the socket can take it; for answers of some hundred octets, which it
always can, that is two system calls and a turn of the loop for nothing. The same holds for the end of a connection
that has nothing left to send. What does not fit goes the ordinary way.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv6Address
from twisted.python import log
from twisted.python.failure import Failure

from shared.transport.prompt_tls import start_tls

_MOST_ACCEPTS = 12
#  As Twisted has it: one for all, since nothing of a connection is in it.
_DONE = Failure(main.CONNECTION_DONE)  # type: ignore[no-untyped-call]


class PromptServer(tcp.Server):
    """One accepted connection. `ends_at_once`: its last word has left, and the loop's next turn ends it.

    `bufferSize`, as with Twisted: the octets that one read may bring.
    """

    reactor: Any
    ends_at_once = False
    #  Nobody else holds the descriptor, so closing it is enough (Twisted's own words at the call).
    _shouldShutdown = False

    def __init__(
        self, connected: socket.socket, protocol: Any, client: tuple[Any, ...], server: Any, number: int, reactor: Any
    ) -> None:
        #  Not Server's own, which puts together two names for the log that are never read.
        FileDescriptor.__init__(self, reactor)
        connected.setblocking(False)
        self.socket = connected
        self.fileno = connected.fileno
        self.protocol = protocol
        if len(client) != 2:
            self._addressType = IPv6Address
        self.server = server
        self.client = client
        self.sessionno = number
        self.hostname = client[0]
        self.startReading()  # type: ignore[no-untyped-call]
        self.connected = 1

    def __repr__(self) -> str:
        return f"<{type(self.protocol).__name__} #{self.sessionno}>"

    logPrefix = __repr__

    def doRead(self, *_: Any, **__: Any) -> Any:
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def read(self) -> None:
        """What the loop calls when something has come: the reactor does the same, by three functions more."""
        try:
            why = self.doRead()
        except Exception as error:
            log.err(None, "a connection that could not be read")  # type: ignore[no-untyped-call]
            why = error
        if why:
            self.reactor._disconnectSelectable(self, why, True)

    def write(self, data: bytes) -> None:
        if self.TLS or self.dataBuffer or self._tempDataBuffer or self.disconnecting or not self.connected:
            super().write(data)  # type: ignore[no-untyped-call]
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            #  The loop finds the same when it looks, and then tells the protocol; here it would be in mid-sentence.
            asyncio.get_running_loop().call_soon(self._end, main.CONNECTION_LOST)
            return
        if sent < len(data):
            super().write(data[sent:])  # type: ignore[no-untyped-call]

    def startTLS(self, context: Any, normal: bool = True) -> None:
        start_tls(self, context, not normal)

    def loseConnection(self) -> None:
        if self.TLS:
            super().loseConnection()  # type: ignore[no-untyped-call]
        else:
            self.leave()

    def leave(self) -> None:
        """The end of the connection itself, when TLS, if there is any, has said its last word."""
        #  Something stands before what comes next, or there is nobody to hear it.
        if self.dataBuffer or self._tempDataBuffer or self.disconnecting or not self.connected:
            FileDescriptor.loseConnection(self)  # type: ignore[no-untyped-call]
            return
        self.disconnecting = self.ends_at_once = True
        self.reactor.removeReader(self)
        asyncio.get_running_loop().call_soon(self._finish)

    def _finish(self) -> None:
        """The end in good order, as connectionLost brings it about, of one that neither reads nor has to write."""
        if not self.connected:
            return
        if self.dataBuffer or self._tempDataBuffer or self.producer is not None:
            self.connectionLost(_DONE)
            return
        self.connected, self.disconnected = 0, 1
        protocol, connected = self.protocol, self.socket
        del self.protocol, self.socket, self.fileno
        connected.close()
        protocol.connectionLost(_DONE)

    def _end(self, why: Exception) -> None:
        if self.connected:
            self.reactor.removeReader(self)
            self.connectionLost(Failure(why))  # type: ignore[no-untyped-call]


class _Listening(socket.socket):
    """It takes its own family for what it accepts; the library's finds the name of it for each connection."""

    def accept(self) -> tuple[socket.socket, Any]:
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return socket.socket(_FAMILIES[len(address)], socket.SOCK_STREAM, 0, descriptor), address


class PromptPort(tcp.Port):
    """A listening port whose connections are prompt.

    It accepts few at a time: what is refused is closed in the loop's next turn, and a burst of hundreds would use up
    the descriptors before that.
    """

    transport: Any = PromptServer
    socket: Any
    factory: Any
    reactor: Any
    sessionno: int
    _preexistingSocket: Any

    def doRead(self) -> None:
        for _ in range(_MOST_ACCEPTS):
            try:
                connected, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError:
                #  No descriptor left, or a client that went before its turn: Twisted knows what to do.
                super().doRead()  # type: ignore[no-untyped-call]
                return
            self._let_in(connected, address)

    def _let_in(self, connected: socket.socket, address: Any) -> None:
        try:
            if len(address) == 4:
                #  With its scope, which `accept` leaves out of the name.
                address = (socket.getnameinfo(address, _AS_NUMBERS)[0], *address[1:])
            protocol = self.factory.buildProtocol(self._buildAddr(address))  # type: ignore[no-untyped-call]
            if protocol is None:
                connected.close()
                return
            self.sessionno += 1
            transport = self.transport(connected, protocol, address, self, self.sessionno, self.reactor)
            protocol.makeConnection(transport)
        except Exception:
            #  One connection's fault is not the port's.
            log.err(None, "a connection that could not begin")  # type: ignore[no-untyped-call]


#  By what their addresses are made of.
_FAMILIES = {2: socket.AF_INET, 4: socket.AF_INET6}
_AS_NUMBERS = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def adopt(reactor: Any, listening: socket.socket, factory: Any) -> PromptPort:
    """Listen on `listening` with `factory`: the reactor takes a copy of the descriptor, ours is closed.

    What is accepted inherits TCP_NODELAY: a reply must never wait for the acknowledgement of the one before it.
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    make: Any = PromptPort._fromListeningDescriptor
    port: PromptPort = make(reactor, listening.fileno(), listening.family, factory)
    copied = port._preexistingSocket
    port._preexistingSocket = _Listening(copied.family, socket.SOCK_STREAM, 0, copied.detach())
    port.startListening()
    listening.close()
    return port
