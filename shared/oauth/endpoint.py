"""One question to a provider over HTTPS: a form out, a JSON object back.

Twisted's own client, on the loop: a provider that is slow holds up nothing else, and an answer that nobody waits for
any longer is called off with its connection, which no thread could do. The certificate is verified against the host's
name (service-identity); redirections are not followed, as what we send is for the one we know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlencode, urlsplit

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as Receiver
from twisted.python.failure import Failure
from twisted.web import client
from twisted.web.http_headers import Headers

from shared.config.oauth import OAuth
from shared.oauth.forms import Form
from shared.transport.reason import explain

_LONGEST_ANSWER = 64 * 1024
_BEGIN = b"-----BEGIN CERTIFICATE-----"
#  Both are without types.
_web: Any = client
_ssl: Any = ssl


class EndpointDown(Exception):
    """There was no answer; one line says why, and nothing of what was asked."""


class Endpoint:
    """`reactor` makes the connections. The files of `settings` are read at each question: they may have changed."""

    def __init__(self, settings: OAuth, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor

    async def ask(self, url: str, form: Form) -> tuple[int, Mapping[str, object] | None]:
        """The status and the JSON object of the answer, None when it held none. Raises EndpointDown."""
        host = urlsplit(url).netloc
        try:
            async with asyncio.timeout(self._settings.timeout):
                status, body = await self._exchange(url, form)
        except TimeoutError:
            raise EndpointDown(f"{host} did not answer within {self._settings.timeout:g} s") from None
        except Exception as error:
            #  Whatever an HTTP client can raise.
            raise EndpointDown(f"{host}: {_words(error)}") from None
        try:
            answer = json.loads(body)
        except ValueError:
            return status, None
        return status, answer if isinstance(answer, dict) else None

    async def _exchange(self, url: str, form: Form) -> tuple[int, bytes]:
        headers = {
            "Content-Type": ["application/x-www-form-urlencoded"],
            "Accept": ["application/json"],
            "User-Agent": ["Mercury"],
        }
        if form.authorization:
            headers["Authorization"] = [form.authorization]
        body = _web.FileBodyProducer(BytesIO(urlencode(form.fields).encode("ascii")))
        loop = asyncio.get_running_loop()
        asked = self._agent().request(b"POST", url.encode("ascii"), Headers(headers), body)
        response = await asked.asFuture(loop)
        received: Deferred[bytes] = Deferred()
        response.deliverBody(_Body(received))
        return response.code, await received.asFuture(loop)

    def _agent(self) -> Any:
        settings = self._settings
        if settings.authorities is None:
            return _web.Agent(self._reactor, connectTimeout=settings.timeout)
        blocks = settings.authorities.read_bytes().split(_BEGIN)[1:]
        if not blocks:
            raise OSError(f"{settings.authorities} holds no certificate")
        roots = _ssl.trustRootFromCertificates([_ssl.Certificate.loadPEM(_BEGIN + block) for block in blocks])
        policy = _web.BrowserLikePolicyForHTTPS(roots)
        return _web.Agent(self._reactor, policy, connectTimeout=settings.timeout)


class _Body(Receiver):
    """An answer, as long as it is short."""

    transport: Any

    def __init__(self, received: Deferred[bytes]) -> None:
        self._received = received
        self._pieces: list[bytes] = []
        self._left = _LONGEST_ANSWER

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
        else:
            self.transport.stopProducing()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._received.called:
            return  #  we did not wait for it any longer
        if isinstance(reason.value, client.ResponseDone) and self._left >= 0:
            self._received.callback(b"".join(self._pieces))
        else:
            self._received.errback(OSError("the answer is too long or ends too early"))


def _words(error: Exception) -> str:
    """Connections that were never answered hold their reasons inside."""
    inner = getattr(error, "reasons", None)
    while inner:
        error, inner = inner[0].value, getattr(inner[0].value, "reasons", None)
    return str(error) if isinstance(error, OSError) and error.args else explain(Failure(error))  # type: ignore[no-untyped-call]
