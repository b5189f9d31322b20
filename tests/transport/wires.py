"""A network in memory for the tests of the transport: a reactor whose connections the test answers by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet import error
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from shared.dns.answers import Answer, Found
from shared.mail.address import parse_address
from shared.mail.content import BytesContent, Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Outcome
from shared.routing.leg import Leg
from shared.routing.next_hop import NO_MORE_TRUST, NextHop, Tls, Trust
from shared.tls.client import ClientTls, RememberedServer
from shared.transport.carrier import SmtpCarrier
from shared.transport.connection import SmtpConnection
from shared.transport.dial import Dialer
from shared.transport.pool import PoolLimits

MESSAGE = BytesContent(b"Subject: greetings\r\n\r\nHello.\r\n")
EHLO = ("250-mx.example", "250-PIPELINING", "250-8BITMIME", "250 SIZE 1000000")
TLS_EHLO = ("250-mx.example", "250-PIPELINING", "250-STARTTLS", "250 AUTH PLAIN")
TAKEN = ("250 2.1.0 ok", "250 2.1.5 ok", "354 go")
BUFFER = 65536
OF_THE_DIALER = ("tls", "connect_timeout", "source_addresses", "tokens")


class Handle:
    """What is asked of a TLS connection after its handshake."""

    def get_session(self) -> None:
        return None

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def export_keying_material(self, label: bytes, size: int, context: bytes) -> bytes:
        return b"b" * size

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"


class Wire(StringTransport):
    """One end of a connection. Reads only when told to, as a slow peer does; closing takes a turn of the reactor."""

    def __init__(self, reactor: MemoryReactorClock) -> None:
        super().__init__()
        self._reactor = reactor
        self.protocol: Any = None
        self.is_prompt = False
        self.closed = ""
        self.tls: list[Any] = []

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.is_prompt = enabled

    def startTLS(self, creator: Any) -> None:
        self.tls.append(creator)

    def getHandle(self) -> Any:
        return Handle()

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        super().write(data)
        if self.producer is not None and len(self.value()) > BUFFER:
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """The peer reads what is there."""
        data = self.value()
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return data

    def loseConnection(self) -> None:
        self._close("lost", error.ConnectionDone())

    def abortConnection(self) -> None:
        self._close("aborted", error.ConnectionAborted())

    def _close(self, how: str, why: Exception) -> None:
        if not self.closed:
            self.closed = how
            self._reactor.callLater(0, self.break_off, why)

    def break_off(self, why: Exception) -> None:
        self.closed = self.closed or "broken"
        self.producer = None
        self.protocol.connectionLost(Failure(why))


class TrustingTls(ClientTls):
    """Handshakes are the test's word here; real ones are in tests/tls."""

    def verified(self, host: str, port: int, trust: Trust = NO_MORE_TRUST) -> RememberedServer:
        return self.unverified(host, port, trust)


class Peer:
    """The server at the other end of a wire, spoken by the test."""

    def __init__(self, net: Net, wire: Wire, address: str) -> None:
        self.net, self.wire, self.address = net, wire, address

    async def hear(self, *lines: str) -> list[str]:
        """Say these lines; what the client has said since comes back."""
        for line in lines:
            self.wire.protocol.dataReceived(line.encode() + b"\r\n")
        await self.net.settle()
        return self.said()

    def said(self) -> list[str]:
        return self.wire.read().decode("utf-8", "replace").split("\r\n")[:-1]

    async def open(self) -> Peer:
        await self.hear("220 mx.example ESMTP", *EHLO)
        return self

    async def take(self, final: str = "250 2.0.0 ok") -> None:
        """Accept the message that is being offered."""
        await self.hear(*TAKEN)
        await self.hear(final)

    async def secure(self) -> list[str]:
        """The TLS handshake succeeds."""
        self.wire.protocol.handshakeCompleted()
        await self.net.settle()
        return self.said()

    async def close(self, why: Exception | None = None) -> None:
        self.wire.break_off(why or error.ConnectionDone())
        await self.net.settle()


class Net:
    """A carrier on a network in memory."""

    def __init__(self, names: Mapping[str, Answer[tuple[str, ...]]] | None = None, **more: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.names = dict(names or {})
        self.secrets: dict[str, str] = {"secret": "s3cret"}
        self.asked: list[str] = []
        more.setdefault("limits", PoolLimits(first=2, most=4))
        dialling = {key: more.pop(key) for key in OF_THE_DIALER if key in more}
        dialer = Dialer(
            reactor=self.reactor, helo="me.example", resolver=self, read_secret=self.read_secret,
            make_nonce=lambda: "n" * 20, chance=lambda: 0.5, spares_dead=more.get("bounds") is not None,
            **{"tls": TrustingTls(), **dialling},
        )  # fmt: skip
        self.carrier = SmtpCarrier(dialer, **more)
        self._met = 0

    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        self.asked.append(host)
        await asyncio.sleep(0)
        return self.names.get(host, Found(("192.0.2.1",), 60.0))

    def read_secret(self, path: str) -> str:
        if path not in self.secrets:
            raise ValueError(f"{path}: is not there")
        return self.secrets[path]

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)
            self.reactor.advance(0)

    async def later(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        await self.settle()

    @property
    def dialled(self) -> list[str]:
        """Every address that was dialled and not yet answered."""
        return [f"{host}:{port}" for host, port, *_ in self.reactor.tcpClients[self._met :]]

    async def accept(self) -> Peer:
        """The oldest connection attempt succeeds."""
        await self.settle()
        host, _, factory, *_ = self.reactor.tcpClients[self._met]
        self._met += 1
        wire = Wire(self.reactor)
        protocol: SmtpConnection = factory.buildProtocol(None)
        wire.protocol = protocol
        protocol.makeConnection(wire)
        await self.settle()
        return Peer(self, wire, host)

    async def refuse(self, why: Exception | None = None) -> None:
        """The oldest connection attempt fails."""
        await self.settle()
        _, _, factory, *_ = self.reactor.tcpClients[self._met]
        self._met += 1
        factory.clientConnectionFailed(None, Failure(why or error.ConnectionRefusedError()))
        await self.settle()

    def carry(
        self, *hops: NextHop, to: tuple[str, ...] = ("bob@x.example",), content: Content = MESSAGE, **more: Any
    ) -> asyncio.Task[Mapping[Recipient, Outcome]]:
        hops = hops or (HOP,)
        recipients = tuple(Recipient(parse_address(name)) for name in to)
        mail = Envelope("ID", parse_address("anna@hq.example"), recipients, 0.0, **more)
        return asyncio.create_task(self.carrier.carry(mail, content, Leg("relay hq", recipients, hops)))  # type: ignore[arg-type]


HOP = NextHop("relay.example", 25, Tls.OFF)


def only(outcomes: Mapping[Recipient, Outcome]) -> Outcome:
    [outcome] = outcomes.values()
    return outcome


async def answers(legs: Iterable[asyncio.Task[Mapping[Recipient, Outcome]]]) -> list[Outcome]:
    """The outcome of each leg, which has one recipient."""
    return [only(await leg) for leg in legs]
