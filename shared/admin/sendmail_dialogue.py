"""`sendmail -bs`: SMTP on standard input and output, for programs that would rather talk than give options.

The engine is that of the server (shared/smtp); the client is whoever called the command, so nobody logs in.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import BinaryIO

from shared.admin.sendmail import EX_DATAERR, EX_OK, Outbox, Stop
from shared.mail.handwritten import Wish
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.events import (
    ChunkBegun,
    ChunkEnded,
    ContentReceived,
    DataAsked,
    Event,
    HelloSaid,
    HelpAsked,
    HungUp,
    MessageEnded,
    MessageSpoiled,
    QuitSaid,
    RecipientGiven,
    SenderGiven,
    TransactionReset,
    VerifyAsked,
)
from shared.smtp.extensions import Offer
from shared.smtp.server import ServerConversation

_LARGEST = 1 << 30  #  the counter where it is handed in knows the real limit
_HELP = Reply(214, "2.0.0", "MAIL FROM:<you>, RCPT TO:<them>, DATA, the message, a dot; QUIT ends")


class Dialogue:
    """One conversation; each message goes to `outbox`."""

    def __init__(self, outbox: Outbox, wish: Wish, hostname: str) -> None:
        self._outbox = outbox
        self._usual = wish
        self._wish = wish
        self._recipients: list[str] = []
        self._content: list[bytes] = []
        self.is_over = False
        self.conversation = ServerConversation(Offer(hostname, _LARGEST))
        self.conversation.greet(f"{hostname} ESMTP Mercury, for programs of this host")

    def hear(self, data: bytes) -> bytes:
        """What to answer to `data`."""
        self.conversation.receive(data)
        while (event := self.conversation.next_event()) is not None:
            self._answer(event)
        return self.conversation.take_output()

    def _answer(self, event: Event) -> None:
        match event:
            case ContentReceived():
                self._content.append(event.data)
                return
            case ChunkBegun() | MessageSpoiled():
                self._content = []
                return
            case HungUp():
                self.is_over = True
                return
        self.conversation.reply(self._reply(event))

    def _reply(self, event: Event) -> Reply:
        match event:
            case HelloSaid():
                self._recipients = []
                return self.conversation.offer.answer(event.name, event.is_extended)
            case SenderGiven():
                sender = str(event.sender) if event.sender else ""
                self._wish = replace(self._usual, sender=sender, by_header=False, envid=event.envid)
                self._wish = replace(self._wish, ret=str(event.ret) if event.ret else "")
                self._recipients = []
                return replies.SENDER_OK
            case RecipientGiven():
                self._recipients.append(str(event.recipient))
                return replies.RECIPIENT_OK
            case DataAsked():
                self._content = []
                return replies.GO_AHEAD
            case ChunkEnded():
                return Reply(250, "2.0.0", f"{event.size} octets so far")
            case MessageEnded():
                return self._send()
            case TransactionReset():
                self._recipients = []
                return replies.RESET
            case QuitSaid():
                self.is_over = True
                return replies.GOODBYE
            case HelpAsked():
                return _HELP
            case VerifyAsked():
                return replies.CANNOT_VERIFY
            case _:
                return replies.NOT_IMPLEMENTED

    def _send(self) -> Reply:
        message, self._content = b"".join(self._content), []
        try:
            id = self._outbox.put(replace(self._wish, recipients=tuple(self._recipients)), message)
        except Stop as stop:
            is_fault = stop.code == EX_DATAERR
            return Reply(554 if is_fault else 451, "5.6.0" if is_fault else "4.3.0", str(stop))
        return Reply(250, "2.0.0", f"OK, queued as {id}" if id else "OK, handed to the pickup folder")


def converse(outbox: Outbox, wish: Wish, given: BinaryIO, out: BinaryIO) -> int:
    """Until QUIT or the end of input."""
    dialogue = Dialogue(outbox, wish, socket.gethostname())
    answer = dialogue.hear(b"")
    read = getattr(given, "read1", given.read)
    while True:
        out.write(answer)
        out.flush()
        if dialogue.is_over:
            return EX_OK
        data = read(65536)
        if not data:
            return EX_OK
        answer = dialogue.hear(data)
