"""A listener behind a proxy: connections from the proxy begin with a PROXY header, and become the client's.

The header comes before everything else, TLS included. Once it is read this steps aside: the session's protocol gets
the connection itself. A peer that is no proxy is a client like any other, and PROXY is no command it may give.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mercury_s.policy.client import IpNetwork
from mercury_s.proxy import Introduction, ProxyFault, ProxyHeader
from shared.observe import events
from shared.observe.log import log

#  A proxy has the header ready before it connects.
_HEADER_SECONDS = 10.0


class ProxiedListener(Factory):
    """`inner` makes the protocol of a session, for the address it is given."""

    noisy = False

    def __init__(self, inner: Factory, proxies: Sequence[IpNetwork], clock: IReactorTime) -> None:
        self.inner = inner
        self.clock = clock
        self._proxies = proxies

    def buildProtocol(self, address: Any) -> Any:
        if is_in(address.host, self._proxies):
            return ProxiedConnection(self, address)
        return self.inner.buildProtocol(address)


class ProxiedConnection(Protocol):
    """One connection until its header is read."""

    transport: Any

    def __init__(self, listener: ProxiedListener, peer: Any) -> None:
        self._listener = listener
        self._peer = peer
        self._header = ProxyHeader()
        self._timer: Any = None

    def connectionMade(self) -> None:
        self._timer = self._listener.clock.callLater(_HEADER_SECONDS, self._refuse, "no header in time")

    def dataReceived(self, data: bytes) -> None:
        try:
            introduction = self._header.feed(data)
        except ProxyFault as fault:
            self._refuse(str(fault))
            return
        if introduction is not None:
            self._step_aside(introduction)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._disarm()

    def _step_aside(self, introduction: Introduction) -> None:
        self._disarm()
        transport = self.transport
        inner: Any = self._listener.inner.buildProtocol(_as_address(introduction, self._peer))
        if inner is None:
            transport.abortConnection()
            return
        transport.protocol = inner
        inner.makeConnection(transport)
        if introduction.rest and not transport.disconnecting:
            inner.dataReceived(introduction.rest)

    def _refuse(self, reason: str) -> None:
        self._disarm()
        log.event(events.PROXY_REFUSED, client=self._peer.host, reason=reason)
        self.transport.abortConnection()

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _as_address(introduction: Introduction, peer: Any) -> Any:
    if not introduction.address:
        return peer
    kind = IPv6Address if ":" in introduction.address else IPv4Address
    return kind("TCP", introduction.address, introduction.port)


def is_in(host: str, networks: Sequence[IpNetwork]) -> bool:
    """Whether the peer `host` is in one of `networks`."""
    if not networks:
        return False
    address = ipaddress.ip_address(host.partition("%")[0])
    return any(address in network for network in networks)
