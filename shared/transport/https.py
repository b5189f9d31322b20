"""What every question over HTTPS needs: an agent that believes the right authorities, and an answer that stays short.

Twisted's own client, on the loop: an answer that nobody waits for any longer is called off with its connection, which
no thread could do. What is asked, and what the answer means, is with those who ask.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as Receiver
from twisted.python.failure import Failure

_BEGIN = b"-----BEGIN CERTIFICATE-----"


class BodyUnusable(OSError):
    """The answer's body is longer than was asked for, or ends too early; the message says which."""


def make_agent(reactor: Any, authorities: Path | None, timeout: float) -> Any:
    """Verifies the host's certificate by the file `authorities`, or the system's. `timeout` (seconds) is for the
    connection alone. Raises OSError when the file cannot be read or holds none."""
    _web, _ssl = _libraries()
    if authorities is None:
        return _web.Agent(reactor, connectTimeout=timeout)
    blocks = authorities.read_bytes().split(_BEGIN)[1:]
    if not blocks:
        raise OSError(f"{authorities} holds no certificate")
    roots = _ssl.trustRootFromCertificates([_ssl.Certificate.loadPEM(_BEGIN + block) for block in blocks])
    return _web.Agent(reactor, _web.BrowserLikePolicyForHTTPS(roots), connectTimeout=timeout)


def _libraries() -> tuple[Any, Any]:
    """Loaded with the first question, as many never ask; both are without types."""
    from twisted.internet import ssl
    from twisted.web import client

    return client, ssl


async def read_body(response: Any, most: int) -> bytes:
    """The body, of `most` octets at the most. Raises BodyUnusable."""
    received: Deferred[bytes] = Deferred()
    response.deliverBody(_Body(received, most))
    return await received.asFuture(asyncio.get_running_loop())


def drop_body(response: Any) -> None:
    """Nobody wants to know: the connection ends as soon as something comes."""
    ignored: Deferred[bytes] = Deferred()
    ignored.addErrback(lambda failure: b"")
    response.deliverBody(_Body(ignored, 0))


class _Body(Receiver):
    transport: Any

    def __init__(self, received: Deferred[bytes], most: int) -> None:
        self._received = received
        self._pieces: list[bytes] = []
        self._most = self._left = most

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
        else:
            self._fail(f"it is longer than {self._most} octets")
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        from twisted.web.client import ResponseDone

        if not isinstance(reason.value, ResponseDone):
            self._fail("it ends too early")
        elif not self._received.called:
            self._received.callback(b"".join(self._pieces))

    def _fail(self, why: str) -> None:
        if not self._received.called:
            self._received.errback(BodyUnusable(why))
