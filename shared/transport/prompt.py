"""Server connections that send at once: a reply leaves with the call that gave it, not with the loop's next turn.

Twisted queues every write and asks the loop when the socket can take it; for answers of some hundred octets, which it
always can, that is two system calls and a turn of the loop for nothing. What does not fit goes the ordinary way.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import main, tcp
from twisted.python.failure import Failure

_MOST_ACCEPTS = 12


class PromptServer(tcp.Server):
    """One accepted connection."""

    reactor: Any

    def write(self, data: bytes) -> None:
        if self.TLS or self.dataBuffer or self._tempDataBuffer or not self.connected or self.disconnecting:
            super().write(data)  # type: ignore[no-untyped-call]
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            #  The loop finds the same when it looks, and then tells the protocol; here it would be in mid-sentence.
            self.reactor.callLater(0, self._fail)
            return
        if sent < len(data):
            super().write(data[sent:])  # type: ignore[no-untyped-call]

    def _fail(self) -> None:
        if self.connected:
            self.reactor.removeReader(self)
            self.connectionLost(Failure(main.CONNECTION_LOST))  # type: ignore[no-untyped-call]


class PromptPort(tcp.Port):
    """A listening port whose connections are prompt.

    It accepts few at a time: what is refused is closed in the loop's next turn, and a burst of hundreds would use up
    the descriptors before that.
    """

    transport = PromptServer
    numberAccepts: int

    def doRead(self) -> None:
        self.numberAccepts = min(self.numberAccepts, _MOST_ACCEPTS)
        super().doRead()  # type: ignore[no-untyped-call]


def adopt(reactor: Any, listening: socket.socket, factory: Any) -> PromptPort:
    """Listen on `listening` with `factory`: the reactor takes a copy of the descriptor, ours is closed."""
    make: Any = PromptPort._fromListeningDescriptor
    port: PromptPort = make(reactor, listening.fileno(), listening.family, factory)
    port.startListening()
    listening.close()
    return port
