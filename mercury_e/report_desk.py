"""The desk where TLS reports are collected, kept over restarts, and sent when the day is over (RFC 8460).

Not here: what is counted and how it reads (tls_report.py). The day's counts are on disk every few minutes; a crash
loses those of the last minutes and nothing else, as reports are a courtesy.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import os
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from mercury_e.demand import Demand, Finding
from mercury_e.mta_sts import PolicyError
from mercury_e.policies import Known
from mercury_e.policy_page import PageUnusable
from mercury_e.tls_report import Count, DayBook, failure_in, failure_of, read_addresses, render_report, shown_policy
from mercury_e.undialled import failure_of_fetch, failure_of_host, policy_of_host, sts_policy
from shared.dns.answers import Found
from shared.dns.name_service import NameService
from shared.mail.reply import printable
from shared.mail.trace import render_date
from shared.observe import events
from shared.observe.log import log
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls
from shared.smtp.client_events import Finished
from shared.transport.dial import Unreached

SAVE_EVERY = 300.0
#  RFC 8460 §4.1: a random delay of up to four hours, so that a domain does not get the reports of all at midnight.
LONGEST_DELAY = 4 * 3600.0
_FILE = "tls-report.json"


class Post(Protocol):
    """How a report leaves the house. All may raise OSError."""

    async def mail(self, address: str, message: bytes) -> None:
        """Deposit `message` for `address`."""

    async def https(self, url: str, body: bytes) -> None:
        """Post it there."""


class ReportDesk:
    """`sender` is our name in reports and `contact` an address of ours. `known` tells of MTA-STS policies."""

    def __init__(
        self,
        folder: Path,
        resolver: NameService,
        known: Callable[[str], Known | None],
        post: Post,
        sender: str,
        contact: str,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._path = folder / _FILE
        self._resolver = resolver
        self._known = known
        self._post = post
        self._sender = sender
        self._contact = contact
        self._clock = clock
        self._pause = pause
        self._delay = LONGEST_DELAY * chance()
        #  Days that are over, with the domains that have not been told yet.
        self._ended = self._read()
        self._book = self._ended.pop(0) if self._ended else DayBook(self._today())

    def note(self, leg: Leg, hop: NextHop, result: Finished | Unreached) -> None:
        """A message was given to `hop`, or could not be."""
        if hop.tls is Tls.OFF:
            return
        for domain in {recipient.address.ascii_domain for recipient in leg.recipients}:
            known = self._known(domain)
            shown = shown_policy(domain, hop, known.policy if known else None, known.text if known else "")
            is_held = shown["policy-type"] == "sts"
            if isinstance(result, Finished):
                failure = failure_in(result, is_held)
                if failure is None and hop.trust.unusable:
                    failure = "tlsa-invalid", "none of its TLSA records can be used"
                if failure is None and is_held and known is not None and not known.policy.allows(hop.host):
                    failure = "validation-failure", "the MTA-STS policy of the domain does not name it"
            elif (failure := failure_of(result.ended)) is None:
                continue
            address = hop.addresses[0] if len(hop.addresses) == 1 else ""
            kind = None if failure is None else (failure[0], hop.host, address, printable(failure[1]))
            self._book.note(domain, shown, kind)

    def note_left_out(self, domain: str, host: str, demand: Demand, finding: Finding, words: str) -> None:
        """Mail for `domain` was not given to `host`: nobody dialled it (route.LeftOut)."""
        shown = policy_of_host(domain, host, demand, finding, self._known(domain))
        self._book.note(domain, shown, (failure_of_host(demand, finding), host, "", printable(words[:200])))

    def note_fetch(self, domain: str, error: PageUnusable | PolicyError) -> None:
        """The MTA-STS policy of `domain` could not be had; the one that is known, if any, holds."""
        shown = sts_policy(domain, self._known(domain))
        self._book.note(domain, shown, (failure_of_fetch(error), "", "", printable(str(error)[:200])))

    async def keep(self) -> None:
        """Never ends: saves, and sends when the day is over."""
        while True:
            await self.turn()
            await self._pause(SAVE_EVERY)

    async def turn(self) -> None:
        """One look at the clock."""
        today = self._today()
        if self._book.day != today:
            self._ended.append(self._book)
            self._book = DayBook(today)
        for book in [ended for ended in self._ended if self._clock() >= _end_of(ended.day) + self._delay]:
            await self._tell(book)
            self._ended.remove(book)
        self.save()

    async def _tell(self, book: DayBook) -> None:
        """Who has been told is crossed off, so that a stop in between loses nobody."""
        for domain in list(book.domains):
            await self._report(book.day, domain, book.domains[domain])
            del book.domains[domain]

    def save(self) -> None:
        part = self._path.with_suffix(".part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text("".join(f"{book.as_text()}\n" for book in (self._book, *self._ended)))
            os.replace(part, self._path)
        except OSError as error:
            log.event(events.TLS_REPORT_UNSENT, path=self._path, reason=str(error))

    def _read(self) -> list[DayBook]:
        """The day that was counted last, and those before it; a book to a line."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            books = [DayBook.from_text(line) for line in self._path.read_text().splitlines()]
            return [book for book in books if _end_of(book.day)]
        return []

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")

    async def _report(self, day: str, domain: str, counts: dict[str, Count]) -> None:
        answer = await self._resolver.text("_smtp._tls", domain)
        addresses = read_addresses(answer.values) if isinstance(answer, Found) else ()
        if not addresses:
            return
        id = f"{day}.{domain}@{self._sender}"
        report = gzip.compress(render_report(day, counts, self._sender, self._contact, id))
        for address in addresses:
            try:
                if address.lower().startswith("mailto:"):
                    to = address[len("mailto:") :].partition("?")[0]
                    await self._post.mail(to, self._message(to, day, domain, id, report))
                else:
                    await self._post.https(address, report)
            except (OSError, ValueError) as error:
                log.event(events.TLS_REPORT_UNSENT, domain=domain, to=address, reason=str(error))
                continue
            log.event(events.TLS_REPORT_SENT, domain=domain, to=address, day=day)
            break  #  §3: one of several addresses is enough

    def _message(self, to: str, day: str, domain: str, id: str, report: bytes) -> bytes:
        """RFC 8460 §5.3: a multipart/report with the gzipped JSON."""
        boundary = f"=_tlsrpt_{day}"
        name = f"{self._sender}!{domain}!{day}.json.gz"
        return (
            f"From: {self._contact}\r\nTo: {to}\r\nDate: {render_date(int(self._clock()))}\r\n"
            f"Message-ID: <{id}>\r\nSubject: Report Domain: {domain} Submitter: {self._sender} Report-ID: <{id}>\r\n"
            f"TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {self._sender}\r\nTLS-Required: No\r\n"
            f"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
            f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"\r\n\r\n'
            f"--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
            f"How mail from {self._sender} to {domain} went on {day}, as to TLS (RFC 8460).\r\n\r\n"
            f"--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        ).encode("ascii") + (
            base64.encodebytes(report).replace(b"\n", b"\r\n") + f"\r\n--{boundary}--\r\n".encode("ascii")
        )


def _end_of(day: str) -> float:
    """The Unix time at which a day of UTC is over. Raises ValueError when it is none."""
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() + 86400
