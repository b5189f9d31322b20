"""An independent SMTP server as the far end: aiosmtpd, run as a process of its own.

It keeps every transaction as NNNNNN.eml (the octets after dot-unstuffing, untouched) and NNNNNN.json (the envelope)
in a folder. Local parts decide what a recipient gets: `refused…` 550 5.1.1, `later…` 450 4.2.1. Not here: anything
of Mercury; this server must not share a fault with what it tests.

    python sinks.py --folder DIR --port 2600 --address 127.0.0.21 --address 127.0.0.22 [--delay 0.05]
        [--certificate FILE --key FILE [--client-authority FILE]] [--no-utf8] [--no-8bit]
        [--requiretls] [--vanish 1] [--size 5000] [--greylist "450 4.2.0 Greylisted for 300 seconds"]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import ssl
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Keeper:
    """Hooks of aiosmtpd: judge recipients by their local part, keep what comes."""

    def __init__(self, folder: Path, delay: float, vanish: int, greylist: str = "") -> None:
        self._greylist = greylist
        self._seen: set[tuple[str, str | None, str]] = set()
        self._folder = folder
        self._to_vanish = vanish
        self._delay = delay
        self._numbers = itertools.count(len(list(folder.glob("*.json"))))

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 5.1.1 no mailbox of that name here"
        if address.startswith("later"):
            return "450 4.2.1 this mailbox is busy"
        triple = (session.peer[0] if session.peer else "", envelope.mail_from, address)
        if self._greylist and triple not in self._seen:
            self._seen.add(triple)
            return self._greylist
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._delay:
            await asyncio.sleep(self._delay)
        number = next(self._numbers)
        content = envelope.original_content
        assert content is not None and server.transport is not None
        (self._folder / f"{number:06}.eml").write_bytes(content)
        facts: dict[str, Any] = {
            "address": server.transport.get_extra_info("sockname")[0],
            "peer": list(session.peer or ()),
            "helo": session.host_name,
            "sender": envelope.mail_from,
            "options": envelope.mail_options,
            "tls": session.ssl is not None,
            "recipients": envelope.rcpt_tos,
        }
        part = self._folder / f"{number:06}.part"
        part.write_text(json.dumps(facts))
        os.rename(part, self._folder / f"{number:06}.json")
        if self._to_vanish:
            self._to_vanish -= 1
            server.transport.abort()  # type: ignore[attr-defined]
        return f"250 2.0.0 kept as {number:06}"


class Guarded(Keeper):
    """Offers REQUIRETLS inside TLS (RFC 8689), which aiosmtpd does not know."""

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-REQUIRETLS", responses[-1]] if session.ssl is not None else responses


class GuardedSmtp(SMTP):
    async def smtp_MAIL(self, arg: str | None) -> None:
        words = (arg or "").split()
        asked = [word for word in words if word.upper() == "REQUIRETLS"]
        if asked and (self.session is None or self.session.ssl is None):
            await self.push("530 5.7.10 not outside TLS")
            return
        await super().smtp_MAIL(" ".join(word for word in words if word not in asked))
        if self.envelope is not None and self.envelope.mail_from is not None:
            self.envelope.mail_options += asked


async def serve(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    kept_by, spoken = (Guarded, GuardedSmtp) if arguments.requiretls else (Keeper, SMTP)
    keeper = kept_by(arguments.folder, arguments.delay, arguments.vanish, arguments.greylist)

    tls = None
    if arguments.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.certificate, arguments.key)
        if arguments.client_authority:
            tls.load_verify_locations(arguments.client_authority)
            tls.verify_mode = ssl.CERT_REQUIRED

    def protocol() -> SMTP:
        return spoken(
            keeper,
            hostname="far.example",
            data_size_limit=arguments.size,
            enable_SMTPUTF8=not arguments.no_utf8,
            decode_data=arguments.no_8bit,
            tls_context=tls,
            loop=loop,
        )

    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(protocol, arguments.address, arguments.port, reuse_address=True)
    async with server:
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", action="append", required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--vanish", type=int, default=0, help="so many messages are kept and never answered")
    parser.add_argument("--greylist", default="", help="what a sender is told of each recipient for the first time")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--client-authority", type=Path)
    parser.add_argument("--size", type=int, default=100 << 20, help="octets that it takes, and says so")
    parser.add_argument("--requiretls", action="store_true")
    parser.add_argument("--no-utf8", action="store_true")
    parser.add_argument("--no-8bit", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
