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
from twisted.python import log
from twisted.python.failure import Failure

_MOST_ACCEPTS = 12


class PromptServer(tcp.Server):
    """One accepted connection."""

    reactor: Any

    def write(self, data: bytes) -> None:
        if self._must_wait():
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
        super().startTLS(context, normal)  # type: ignore[no-untyped-call]
        hasten_tls(self)

    def loseConnection(self) -> None:
        if self._must_wait():
            super().loseConnection()  # type: ignore[no-untyped-call]
            return
        self.disconnecting = True
        self.stopReading()  # type: ignore[no-untyped-call]
        asyncio.get_running_loop().call_soon(self._end, main.CONNECTION_DONE)

    def _must_wait(self) -> bool:
        """Whether something stands before what comes next, or there is nobody to hear it."""
        return bool(self.TLS or self.dataBuffer or self._tempDataBuffer or not self.connected or self.disconnecting)

    def _end(self, why: Exception) -> None:
        if self.connected:
            self.reactor.removeReader(self)
            self.connectionLost(Failure(why))  # type: ignore[no-untyped-call]


def hasten_tls(connection: Any) -> None:
    """What TLS makes of our words leaves at once, too. `connection` is Twisted's; its startTLS has just returned.

    Between its TLS and its socket Twisted puts an object whose `write` queues; this one queues what does not fit.
    """

    def write(data: bytes) -> None:
        it = connection
        if not (it.dataBuffer or it._tempDataBuffer) and it.connected and not it.disconnecting:
            try:
                data = data[it.socket.send(data) :]
            except OSError:
                pass  #  The loop finds the same, and then tells the protocol.
        if data:
            FileDescriptor.write(it, data)

    connection.protocol.transport.write = write


class PromptPort(tcp.Port):
    """A listening port whose connections are prompt.

    It accepts few at a time: what is refused is closed in the loop's next turn, and a burst of hundreds would use up
    the descriptors before that.
    """

    transport = PromptServer
    socket: Any
    factory: Any
    reactor: Any
    sessionno: int

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


_AS_NUMBERS = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def adopt(reactor: Any, listening: socket.socket, factory: Any) -> PromptPort:
    """Listen on `listening` with `factory`: the reactor takes a copy of the descriptor, ours is closed.

    What is accepted inherits TCP_NODELAY: a reply must never wait for the acknowledgement of the one before it.
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    make: Any = PromptPort._fromListeningDescriptor
    port: PromptPort = make(reactor, listening.fileno(), listening.family, factory)
    port.startListening()
    listening.close()
    return port
