"""The far end of the demonstration: a small SMTP server that keeps what it gets in Maildirs, to be looked at.

A few lines on asyncio's streams, and on purpose nothing of shared/smtp: what arrives here has been understood by
someone else. No TLS, no limits; it listens on loopback, for the demonstration only.
"""

from __future__ import annotations

import asyncio
import mailbox
from dataclasses import dataclass, field
from pathlib import Path

from shared.mail.address import Address, AddressError, parse_address

EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
LONGEST_LINE = 64 * 1024


@dataclass
class Transaction:
    sender: str = ""
    recipients: list[Address] = field(default_factory=list)


class Sink:
    """`strangers`: the local parts that have no mailbox here and are refused with 550."""

    def __init__(self, name: str, maildirs: Path, strangers: frozenset[str] = frozenset()) -> None:
        self.name = name
        self.maildirs = maildirs
        self._strangers = strangers
        self._server: asyncio.Server | None = None

    async def listen(self, address: str, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, address, port, limit=LONGEST_LINE)

    def close(self) -> None:
        if self._server:
            self._server.close()

    def mailbox_path(self, address: Address) -> Path:
        return self.maildirs / address.ascii_domain / address.local.replace("/", "_").lstrip(".")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Session(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the peer is gone, or sends no lines; a demonstration may hang up on it
        finally:
            writer.close()

    def accept(self, address: Address) -> str:
        """The reply to RCPT."""
        if address.local in self._strangers:
            return f"550 5.1.1 there is no {address.local} at {self.name}"
        return "250 2.1.5 Recipient is welcome"

    def keep(self, transaction: Transaction, message: bytes) -> None:
        """One copy for each recipient, with LF line ends as in any Maildir."""
        head = f"Return-Path: <{transaction.sender}>\n".encode()
        for address in transaction.recipients:
            path = self.mailbox_path(address)
            path.parent.mkdir(parents=True, exist_ok=True)
            mailbox.Maildir(path, create=True).add(head + message.replace(b"\r\n", b"\n"))


class Session:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._transaction = Transaction()

    async def run(self) -> None:
        self._say(f"220 {self._sink.name} ESMTP, the far end of the demonstration")
        while line := await self._reader.readline():
            words = line.decode("utf-8", "replace").strip()
            verb, _, rest = words.partition(" ")
            if verb.upper() == "DATA":
                await self._take_message()
            else:
                self._say(self._answer(verb.upper(), rest))
            await self._writer.drain()
            if verb.upper() == "QUIT":
                return

    def _say(self, reply: str) -> None:
        self._writer.write(reply.encode("ascii", "backslashreplace") + b"\r\n")

    def _answer(self, verb: str, rest: str) -> str:
        match verb:
            case "EHLO":
                return "\r\n".join(f"250-{line}" for line in (self._sink.name, *EXTENSIONS[:-1])) + (
                    f"\r\n250 {EXTENSIONS[-1]}"
                )
            case "HELO" | "NOOP":
                return f"250 {self._sink.name}"
            case "RSET":
                self._transaction = Transaction()
                return "250 2.0.0 Forgotten"
            case "MAIL":
                self._transaction = Transaction(sender=_path(rest))
                return "250 2.1.0 Go on"
            case "RCPT":
                return self._take_recipient(_path(rest))
            case "QUIT":
                return "221 2.0.0 Good bye"
        return "502 5.5.1 Not here"

    def _take_recipient(self, text: str) -> str:
        try:
            address = parse_address(text)
        except AddressError as error:
            return f"501 5.1.3 {error}"
        reply = self._sink.accept(address)
        if reply.startswith("250"):
            self._transaction.recipients.append(address)
        return reply

    async def _take_message(self) -> None:
        if not self._transaction.recipients:
            self._say("503 5.5.1 No recipients")
            return
        self._say("354 End with a dot on a line of its own")
        await self._writer.drain()
        lines = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self._sink.keep(self._transaction, b"".join(lines))
        self._transaction = Transaction()
        self._say(f"250 2.0.0 Kept in {self._sink.maildirs.name}/")


def _path(rest: str) -> str:
    """What stands between the angle brackets of MAIL FROM:<...> or RCPT TO:<...>."""
    return rest.partition("<")[2].rpartition(">")[0]
