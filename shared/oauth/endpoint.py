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

from twisted.python.failure import Failure

from shared.config.oauth import OAuth
from shared.oauth.forms import Form
from shared.transport.reason import explain

_LONGEST_ANSWER = 64 * 1024


class EndpointDown(Exception):
    """There was no answer; one line says why, and nothing of what was asked."""


class Endpoint:
    """`reactor` makes the connections. The files of `settings` are read at each question: they may have changed."""

    def __init__(self, settings: OAuth, reactor: Any) -> None:
        #  Here: a tenth of what a start imports, and without an account nobody needs it.
        from twisted.web import client, http_headers

        self._settings = settings
        self._reactor = reactor
        #  Both are without types.
        self._client: Any = client
        self._headers: Any = http_headers.Headers

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
        from shared.transport.https import make_agent, read_body

        headers = {
            "Content-Type": ["application/x-www-form-urlencoded"],
            "Accept": ["application/json"],
            "User-Agent": ["Mercury"],
        }
        if form.authorization:
            headers["Authorization"] = [form.authorization]
        body = self._client.FileBodyProducer(BytesIO(urlencode(form.fields).encode("ascii")))
        agent = make_agent(self._reactor, self._settings.authorities, self._settings.timeout)
        asked = agent.request(b"POST", url.encode("ascii"), self._headers(headers), body)
        response = await asked.asFuture(asyncio.get_running_loop())
        return response.code, await read_body(response, _LONGEST_ANSWER)


def _words(error: Exception) -> str:
    """Connections that were never answered hold their reasons inside."""
    inner = getattr(error, "reasons", None)
    while inner:
        error, inner = inner[0].value, getattr(inner[0].value, "reasons", None)
    return str(error) if isinstance(error, OSError) and error.args else explain(Failure(error))  # type: ignore[no-untyped-call]
