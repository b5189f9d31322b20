"""A conversation that somebody looks on at (shared/observe/tap.py). All others are plain and know nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.observe.tap import Dialogue
from shared.smtp.client import Conversation
from shared.smtp.client_events import Opening, Security


class OverheardConversation(Conversation):
    def __init__(self, dialogue: Dialogue, opening: Opening, host: str) -> None:
        self._dialogue = dialogue
        super().__init__(opening, host)

    def receive(self, data: bytes) -> None:
        self._dialogue.server(data)
        super().receive(data)

    def take(self) -> bytes:
        data = super().take()
        if data:
            self._dialogue.client(data)
        return data

    def next_body(self) -> bytes:
        data = super().next_body()
        self._dialogue.client(data)
        return data

    def send(self, envelope: Envelope, recipients: Sequence[Recipient], content: Content) -> None:
        self._dialogue.note(f"message {envelope.id}")
        super().send(envelope, recipients, content)

    def secured(self, security: Security | None = None, binding: bytes | None = None) -> None:
        words = f"{security.protocol} with {security.cipher}" if security else "TLS"
        self._dialogue.secured(words)
        super().secured(security, binding)

    def lost(self, reason: str) -> None:
        was_over = self.is_over
        super().lost(reason)
        if not was_over:
            self._dialogue.note(f"the connection is over: {reason}")
