"""TLS on a prompt connection: however its records are cut, what is said arrives, and every end is told once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import make_certificate
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from shared.tls.server import ServerCertificates
from shared.transport.prompt import PromptServer
from shared.transport.prompt_tls import PromptTls


class Reactor:
    """Only what a connection asks of it."""

    def __init__(self) -> None:
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def _disconnectSelectable(self, connection: Any, why: Exception, is_read: bool) -> None:
        self.removeReader(connection)
        connection.connectionLost(Failure(why))


@implementer(IHandshakeListener)
class Listener(Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.is_secured = False
        self.ends: list[str] = []
        self.answers: Callable[[bytes], bytes] = lambda data: b""

    def handshakeCompleted(self) -> None:
        self.is_secured = True

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if answer := self.answers(data):
            assert self.transport is not None
            self.transport.write(answer)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.ends.append(reason.type.__name__)


class Pair:
    """The server's connection on a real socket; the client is OpenSSL in memory, and what it says comes by `hear`."""

    def __init__(self, certificates: ServerCertificates, version: int) -> None:
        self.reactor, self.listener = Reactor(), Listener()
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.server = PromptServer(near, self.listener, ("192.0.2.1", 4000), None, 1, self.reactor)
        self.listener.makeConnection(self.server)
        self.server.startTLS(certificates)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()

    def said(self) -> bytes:
        """What the client has to send now."""
        data = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                data += self.client.bio_read(1 << 16)
        return data

    def hear(self, data: bytes, size: int = 1 << 20) -> None:
        """By the socket, in pieces of `size`."""
        for start in range(0, len(data), size):
            self.far.send(data[start : start + size])
            self.server.read()

    def answered(self) -> bytes:
        with contextlib.suppress(BlockingIOError, SSL.Error):
            self.client.bio_write(self.far.recv(1 << 20))
        data = b""
        with contextlib.suppress(SSL.Error):
            while True:
                data += self.client.recv(1 << 16)
        return data

    def shake_hands(self, size: int = 1 << 20) -> None:
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.hear(self.said(), size)
            self.answered()
        assert self.listener.is_secured


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificates:
    folder: Path = tmp_path_factory.mktemp("tls")
    return ServerCertificates.load([make_certificate(folder, ["mail.hq.example"])])


@pytest.fixture(params=[SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["1.2", "1.3"])
def pair(certificates: ServerCertificates, request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(certificates, request.param)
    yield made
    made.far.close()
    if made.server.connected:
        made.server.socket.close()


def in_a_loop(does: Callable[[], None]) -> None:
    async def run() -> None:
        does()
        await asyncio.sleep(0)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 3, 700, 1 << 20])
def test_what_is_said_arrives_however_it_is_cut(pair: Pair, size: int) -> None:
    pair.shake_hands(size)
    whole = b""
    for words in (b"EHLO pc.example\r\n", b"x" * 40_000, b"QUIT\r\n"):
        pair.client.sendall(words)
        whole += words
        pair.hear(pair.said(), size)
        assert pair.listener.heard == whole, "all of it at once, not with the next piece"


def test_records_that_come_together_are_all_heard(pair: Pair) -> None:
    pair.shake_hands()
    pieces = []
    for number in range(5):
        pair.client.send(b"NOOP %d\r\n" % number)
        pieces.append(pair.said())
    data = b"".join(pieces)
    pair.hear(data[:-3])
    assert pair.listener.heard.count(b"NOOP") == 4
    pair.hear(data[-3:])
    assert pair.listener.heard.count(b"NOOP") == 5
    pair.client.send(b"QUIT\r\n")
    pair.hear(pair.said())
    assert pair.listener.heard.endswith(b"QUIT\r\n")


def test_an_answer_leaves_with_the_call(pair: Pair) -> None:
    pair.listener.answers = lambda data: b"250 OK\r\n"
    pair.shake_hands()
    pair.client.send(b"NOOP\r\n")
    pair.hear(pair.said())
    assert pair.answered() == b"250 OK\r\n"
    assert not pair.reactor.writers


def test_our_end_is_said_before_the_connection_goes(pair: Pair) -> None:
    pair.listener.answers = lambda data: b"221 Bye\r\n"
    pair.shake_hands()
    pair.client.send(b"QUIT\r\n")
    pair.hear(pair.said())
    pair.server.loseConnection()
    assert pair.answered() == b"221 Bye\r\n"
    with pytest.raises(SSL.ZeroReturnError):
        pair.client.recv(10)
    pair.client.shutdown()
    in_a_loop(lambda: pair.hear(pair.said()))
    assert pair.listener.ends == ["ConnectionDone"]


def test_their_end_is_ours(pair: Pair) -> None:
    pair.shake_hands()
    pair.client.send(b"NOOP\r\n")
    pair.client.shutdown()
    in_a_loop(lambda: pair.hear(pair.said()))
    assert pair.listener.heard == b"NOOP\r\n"
    assert pair.listener.ends == ["ConnectionDone"]


def test_a_client_that_is_just_gone_is_told_once(pair: Pair) -> None:
    pair.shake_hands()
    pair.far.close()
    in_a_loop(pair.server.read)
    assert len(pair.listener.ends) == 1


@pytest.mark.parametrize("junk", [b"\x17\x03\x03\x00\x20" + b"?" * 32, b"MAIL FROM:<a@x.example>\r\n", b"\x00" * 64])
def test_what_is_no_record_of_this_session_ends_it_unheard(pair: Pair, junk: bytes) -> None:
    pair.shake_hands()
    in_a_loop(lambda: pair.hear(junk))
    assert pair.listener.heard == b""
    assert len(pair.listener.ends) == 1


def test_a_handshake_that_is_none_ends_it(pair: Pair) -> None:
    in_a_loop(lambda: pair.hear(b"EHLO pc.example\r\n"))
    assert len(pair.listener.ends) == 1 and not pair.listener.is_secured


@given(st.lists(st.integers(0, 400), max_size=8), st.lists(st.integers(1, 500), max_size=12))
def test_records_are_counted_or_nobody_knows(sizes: list[int], cuts: list[int]) -> None:
    data = b"".join([b"\x17\x03\x03" + size.to_bytes(2) + b"x" * size for size in sizes])
    tls = PromptTls(None, None)  # type: ignore[arg-type]
    ends = [sum(5 + size for size in sizes[: number + 1]) for number in range(len(sizes))]
    heard = 0
    for cut in [*cuts, len(data)]:
        piece = data[heard : heard + cut]
        heard += len(piece)
        tls._count(piece)
        if tls._lacking >= 0:
            assert tls._records == sum(end <= heard for end in ends)
            assert (tls._lacking == 0) == (heard in (0, *ends))
