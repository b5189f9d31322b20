"""A smarthost that takes tokens and nothing else: aiosmtpd in a thread, TLS from the first octet.

It asks `is_good` about each token, refuses as RFC 7628 has it, and closes after each message, so that each message is
a login. Not here: anything of Mercury.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

_TOKEN = re.compile(rb"auth=Bearer ([^\x01]+)\x01\x01")


class TokenSmarthost:
    """`tokens` are those that were shown, in order; `messages` what came."""

    def __init__(self, port: int, certificate: Path, key: Path, is_good: Callable[[str], bool]) -> None:
        self.port = port
        self.tokens: list[str] = []
        self.messages: list[bytes] = []
        self._is_good = is_good
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._controller = Controller(
            self, hostname="127.0.0.1", port=port, ssl_context=tls, server_hostname="far.example",
            auth_require_tls=False, auth_exclude_mechanism=["LOGIN", "PLAIN"], auth_required=True,
        )  # fmt: skip

    def start(self) -> TokenSmarthost:
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop(no_assert=True)

    def find(self, token: str) -> list[bytes]:
        return [message for message in self.messages if token.encode() in message]

    async def auth_OAUTHBEARER(self, server: SMTP, words: list[str]) -> AuthResult:
        return await self._judge(server, words)

    async def auth_XOAUTH2(self, server: SMTP, words: list[str]) -> AuthResult:
        return await self._judge(server, words)

    async def _judge(self, server: SMTP, words: list[str]) -> AuthResult:
        answer = base64.b64decode(words[1]) if len(words) > 1 else await server.challenge_auth("")
        found = _TOKEN.search(answer) if isinstance(answer, bytes) else None
        token = found[1].decode() if found else ""
        self.tokens.append(token)
        if self._is_good(token):
            return AuthResult(success=True, auth_data=token)
        await server.challenge_auth('{"status":"invalid_token"}')
        return AuthResult(success=False, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes) and server.transport is not None
        self.messages.append(envelope.content)
        asyncio.get_running_loop().call_later(0.1, server.transport.close)
        return "250 2.0.0 kept"
