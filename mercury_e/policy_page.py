"""Fetching a domain's MTA-STS policy over HTTPS (RFC 8461 §3.3): one page, small, soon, from the right host.

No redirects, no proxies, a verified certificate, text/plain, 64 KiB, addresses that mail could be sent to as well: a
stranger names the host, so what he can make us do must be little. Not here: what the page says (mta_sts.py), when it
is asked for (policies.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from OpenSSL import SSL
from service_identity import VerificationError

from mercury_e.mta_sts import LONGEST_POLICY
from shared.tls.client import ClientTls
from shared.transport.https import BodyUnusable, drop_body, read_body

TIMEOUT = 60.0  #  seconds for everything, RFC 8461 §3.3
_CONNECT_TIMEOUT = 15.0


class PageUnusable(Exception):
    """There is no policy to be had there; the message says why, in a few printable words. `is_forged`: its host has
    a certificate that proves nothing."""

    def __init__(self, words: str, is_forged: bool = False) -> None:
        super().__init__(words)
        self.is_forged = is_forged


class PolicyPages:
    """`port` is 443 but in a laboratory."""

    def __init__(self, reactor: Any, tls: ClientTls, port: int = 443, timeout: float = TIMEOUT) -> None:
        self._reactor = reactor
        self._tls = tls
        self._port = port
        self._timeout = timeout

    async def fetch(self, domain: str, addresses: Sequence[str]) -> bytes:
        """The policy file of `domain`, from mta-sts.`domain` at one of `addresses`. Raises PageUnusable."""
        return await self._at_one_of(addresses, lambda address: self._fetch_from(domain, address))

    async def post(self, url: str, addresses: Sequence[str], body: bytes) -> None:
        """Give a report to the page `url`, an https: one (RFC 8460 §5.4). Raises PageUnusable, ValueError."""
        await self._at_one_of(addresses, lambda address: self._post_to(url, address, body))

    async def _at_one_of(self, addresses: Sequence[str], ask: Callable[[str], Awaitable[bytes]]) -> bytes:
        trouble, is_forged = "its host has no address that we connect to", False
        try:
            async with asyncio.timeout(self._timeout):
                for address in addresses:
                    try:
                        return await ask(address)
                    except PageUnusable:
                        raise
                    except Exception as error:
                        #  Whatever an HTTP client can raise; another address may do better.
                        trouble, is_forged = _words_of(error), _is_about_certificate(error)
        except TimeoutError:
            trouble, is_forged = f"no answer within {self._timeout:.0f} s", False
        raise PageUnusable(trouble, is_forged)

    async def _fetch_from(self, domain: str, address: str) -> bytes:
        host = f"mta-sts.{domain}"
        agent = self._agent(host, address, self._port)
        headers = _headers({"User-Agent": ["Mercury"], "Accept": ["text/plain"]})
        port = "" if self._port == 443 else f":{self._port}"
        url = f"https://{host}{port}/.well-known/mta-sts.txt".encode("ascii")
        asked = agent.request(b"GET", url, headers)
        response = await asked.asFuture(asyncio.get_running_loop())
        kind = (response.headers.getRawHeaders("content-type") or [""])[0].partition(";")[0].strip().lower()
        fault = ""
        if response.code != 200:
            fault = f"status {response.code}"  #  a redirect is one, too (§3.3)
        elif kind != "text/plain":
            fault = "it is not text/plain"
        if fault:
            drop_body(response)
            raise PageUnusable(fault)
        try:
            return await read_body(response, LONGEST_POLICY)
        except BodyUnusable as error:
            raise PageUnusable(str(error)) from None

    async def _post_to(self, url: str, address: str, body: bytes) -> bytes:
        parts = urlsplit(url)
        agent = self._agent(parts.hostname or "", address, parts.port or 443)
        headers = _headers({"User-Agent": ["Mercury"], "Content-Type": ["application/tlsrpt+gzip"]})
        asked = agent.request(b"POST", url.encode("ascii"), headers, _producer(body))
        response = await asked.asFuture(asyncio.get_running_loop())
        drop_body(response)
        if not 200 <= response.code < 300:
            raise PageUnusable(f"status {response.code}")
        return b""

    def _agent(self, host: str, address: str, port: int) -> Any:
        """Connects to `address` whatever the URL says, and believes nobody but `host` there."""
        from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
        from twisted.web import client

        web: Any = client
        creator = self._tls.verified(host, port)
        inner: Any = HostnameEndpoint(self._reactor, address, port, timeout=_CONNECT_TIMEOUT)
        return web.Agent.usingEndpointFactory(self._reactor, _OneEndpoint(wrapClientTLS(creator, inner)))


#  Twisted's HTTP client, 2 MB, is loaded with the first page.
def _headers(fields: dict[str, list[str]]) -> Any:
    from twisted.web.http_headers import Headers

    return Headers(fields)


def _producer(body: bytes) -> Any:
    from twisted.web import client

    web: Any = client  #  without types
    return web.FileBodyProducer(BytesIO(body))


class _OneEndpoint:
    """An agent's way to the address that we looked up."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: Any) -> Any:
        return self._endpoint


def _innermost(error: BaseException) -> BaseException:
    """An HTTP client wraps what went wrong."""
    reasons = getattr(error, "reasons", None)
    inner: BaseException = reasons[0].value if reasons else error
    return inner


def _is_about_certificate(error: BaseException) -> bool:
    inner = _innermost(error)
    return isinstance(inner, VerificationError) or (
        isinstance(inner, SSL.Error) and "certificate verify failed" in str(inner)
    )


def _words_of(error: BaseException) -> str:
    inner = _innermost(error)
    if isinstance(inner, VerificationError):
        return "the certificate of its host is for another name"
    if isinstance(inner, SSL.Error):
        return "the certificate of its host is not believed, or TLS fails"
    return f"{type(inner).__name__}"
