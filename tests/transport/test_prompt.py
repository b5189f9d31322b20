"""An accepted connection on a socket pair: what leaves with the call, what waits, and how it ends, once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from shared.transport.prompt import PromptPort, PromptServer


class Reactor:
    """Only what a connection asks of it."""

    def __init__(self) -> None:
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard


class Listener(Protocol):
    def __init__(self) -> None:
        self.ends: list[str] = []

        self.pieces: list[int] = []

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(len(data))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.ends.append(reason.type.__name__)


class Pair:
    def __init__(self) -> None:
        self.reactor = Reactor()
        self.protocol = Listener()
        near, self.far = socket.socketpair()
        self.far.settimeout(5)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.server = PromptServer(near, self.protocol, ("192.0.2.1", 4000), None, 1, self.reactor)
        self.protocol.makeConnection(self.server)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.far.close()
    if made.server.connected:
        made.server.socket.close()


def test_a_read_brings_as_much_as_it_was_told_to(pair: Pair) -> None:
    for size in (65536, 256 * 1024):
        pair.server.bufferSize = size
        pair.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        pair.far.setblocking(False)
        sent = pair.far.send(b"x" * 300_000)
        pair.server.doRead()
        assert pair.protocol.pieces == [min(sent, size)]
        while sum(pair.protocol.pieces) < sent:
            pair.server.doRead()
        pair.protocol.pieces.clear()


def test_a_read_brings_64_kib_unless_told_otherwise(pair: Pair) -> None:
    assert pair.server.bufferSize == 65536


def in_a_loop(does: Callable[[], None]) -> None:
    async def run() -> None:
        does()
        await asyncio.sleep(0)

    asyncio.run(run())


def test_a_reply_leaves_with_the_call(pair: Pair) -> None:
    pair.server.write(b"220 here\r\n")
    assert pair.far.recv(100) == b"220 here\r\n"
    assert not pair.reactor.writers


def test_what_does_not_fit_waits_its_turn_and_what_comes_later_stays_behind_it(pair: Pair) -> None:
    much = bytes(range(256)) * 2000
    pair.server.write(much)
    assert pair.reactor.writers == {pair.server}
    pair.server.write(b"last")
    heard = b""
    while len(heard) < len(much) + 4:
        heard += pair.far.recv(65536)
        pair.server.doWrite()
    assert heard == much + b"last"


def test_the_end_comes_in_the_next_turn_of_the_loop_and_once(pair: Pair) -> None:
    def end() -> None:
        pair.server.write(b"221 bye\r\n")
        pair.server.loseConnection()
        pair.server.loseConnection()
        assert pair.protocol.ends == [], "not in the middle of what its protocol does"

    in_a_loop(end)
    assert pair.protocol.ends == ["ConnectionDone"]
    assert pair.far.recv(100) == b"221 bye\r\n" and pair.far.recv(100) == b""
    assert not pair.reactor.readers and not pair.reactor.writers


def test_an_end_behind_what_waits_comes_after_it(pair: Pair) -> None:
    pair.server.write(b"x" * 500_000)
    in_a_loop(pair.server.loseConnection)
    assert pair.protocol.ends == []
    heard, why = 0, None
    while why is None:
        heard += len(pair.far.recv(65536))
        why = pair.server.doWrite()
    pair.far.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while more := pair.far.recv(65536):
            heard += len(more)
    assert heard == 500_000
    assert type(why).__name__ == "ConnectionDone", "now the loop ends it"


def test_a_peer_that_is_gone_is_told_in_the_next_turn(pair: Pair) -> None:
    pair.far.close()

    def write() -> None:
        pair.server.write(b"250 ok\r\n")
        pair.server.write(b"250 ok\r\n")
        assert pair.protocol.ends == []

    in_a_loop(write)
    assert pair.protocol.ends == ["ConnectionLost"]


class Waiting:
    """A listening socket with these waiting on it."""

    def __init__(self, *clients: Any) -> None:
        self._clients = list(clients)

    def accept(self) -> Any:
        if not self._clients:
            raise BlockingIOError
        client = self._clients.pop(0)
        if isinstance(client, Exception):
            raise client
        return client, ("192.0.2.9", 4001)


def make_port(reactor: Any, factory: Any, *clients: Any) -> PromptPort:
    port = PromptPort(25, factory, reactor=reactor)
    port.sessionno, port.numberAccepts, port._realPortNumber = 0, 100, 25
    port.socket = Waiting(*clients)
    return port


def test_a_connection_that_cannot_begin_does_not_hinder_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[str] = []
    monkeypatch.setattr("shared.transport.prompt.log.err", lambda failure, why: faults.append(why))
    made: list[Listener] = []

    class Factory:
        def buildProtocol(self, address: Any) -> Listener | None:
            assert address.host == "192.0.2.9"
            if len(made) == 1:
                made.append(Listener())
                return None
            made.append(Listener())
            if len(made) == 1:
                raise ValueError("no")
            return made[-1]

    pairs = [socket.socketpair() for _ in range(3)]
    make_port(Reactor(), Factory(), *(near for near, _ in pairs)).doRead()
    assert faults == ["a connection that could not begin"]
    assert [protocol.transport is not None for protocol in made] == [False, False, True]
    assert pairs[1][1].recv(1) == b"", "nobody wanted it, so it was closed"
    for near, far in pairs:
        near.close()
        far.close()
