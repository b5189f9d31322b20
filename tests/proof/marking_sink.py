"""A far end in the test's own process that says which token it has before it answers for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from account import token_of
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class MarkingSink:
    """`mark(token)` is called in the sink's thread before the 250."""

    def __init__(self, port: int, mark: Callable[[str], object]) -> None:
        self.tokens: set[str] = set()
        self._mark = mark
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname="127.0.0.1", port=port, data_size_limit=1 << 26)

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        token = token_of(envelope.original_content or b"")
        with self._lock:
            self.tokens.add(token)
            self._mark(token)
        return "250 2.0.0 kept"
