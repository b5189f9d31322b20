"""Is a token good, and whose is it: a question to the one who issued it (RFC 7662).

Not here: how a token comes in (shared/smtp/sasl_bearer.py), whether its account may log in (authenticate.py).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote_plus

from twisted.web import client
from twisted.web.http_headers import Headers

from mercury_s.auth.backend import BackendDown
from shared.config.logins import Introspection
from shared.transport.https import drop_body, read_body

_LONGEST_ANSWER = 64 * 1024
_web: Any = client  #  without types


class IntrospectedTokens:
    """`agent` makes requests; `read_secret` gives our secret at the page we ask."""

    def __init__(self, settings: Introspection, agent: Any, read_secret: Callable[[], str] = str) -> None:
        self._settings = settings
        self._agent = agent
        self._read_secret = read_secret

    async def owner(self, token: str) -> str | None:
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = json.loads(await self._ask(token))
        except Exception as error:
            #  Whatever an HTTP client can raise, and what is no JSON; the text of none of them is repeated, as one
            #  may quote the request.
            raise BackendDown(f"introspection: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise BackendDown("introspection: the answer is no JSON object")
        return _owner(answer, self._settings)

    async def _ask(self, token: str) -> bytes:
        settings = self._settings
        headers = {
            "Content-Type": ["application/x-www-form-urlencoded"],
            "Accept": ["application/json"],
            "User-Agent": ["Mercury"],
        }
        if settings.client_id:
            #  RFC 6749 §2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(self._read_secret())}"
            headers["Authorization"] = ["Basic " + base64.b64encode(pair.encode()).decode("ascii")]
        body = _web.FileBodyProducer(BytesIO(f"token={quote_plus(token)}&token_type_hint=access_token".encode()))
        asked = self._agent.request(b"POST", settings.url.encode(), Headers(headers), body)
        response = await asked.asFuture(asyncio.get_running_loop())
        if response.code != 200:
            drop_body(response)
            raise OSError(f"status {response.code}")
        return await read_body(response, _LONGEST_ANSWER)


def _owner(answer: dict[str, Any], settings: Introspection) -> str | None:
    """RFC 7662 §2.2: `active` says that it is neither expired nor revoked; the rest is ours to ask."""
    if answer.get("active") is not True:
        return None
    scopes = answer.get("scope")
    if settings.scope and settings.scope not in (scopes.split() if isinstance(scopes, str) else ()):
        return None
    owner = answer.get(settings.account)
    return owner if isinstance(owner, str) and owner else None
