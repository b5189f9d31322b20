"""How TLS reports leave the house (RFC 8460 §5): as mail through the spool, or by HTTPS.

Not here: what they say and when they are due (report_desk.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from mercury_e.policy_page import PageUnusable, PolicyPages
from shared.dns.answers import Found
from shared.dns.name_service import NameService
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.service.post_office import PostOffice
from shared.spool.deposit import deposit


class ReportPost:
    """Satisfies mercury_e.report_desk.Post. `contact` is the sender; nothing comes back for a report."""

    def __init__(
        self,
        office: PostOffice,
        contact: str,
        resolver: NameService,
        pages: PolicyPages,
        may_dial: Callable[[Sequence[str]], Sequence[str]],
    ) -> None:
        self._office = office
        self._contact = contact
        self._resolver = resolver
        self._pages = pages
        self._may_dial = may_dial

    async def mail(self, address: str, message: bytes) -> None:
        office = self._office
        recipient = Recipient(parse_address(address), (Notify.NEVER,))
        sender = parse_address(self._contact)
        envelope = Envelope(office.ids.next(), sender, (recipient,), time.time(), tls_optional=True)
        await deposit(office.depositor, office.judge.letters(envelope), message)

    async def https(self, url: str, body: bytes) -> None:
        host = urlsplit(url).hostname or ""
        found = await self._resolver.addresses(host)
        addresses = self._may_dial(found.values) if isinstance(found, Found) else ()
        try:
            await self._pages.post(url, addresses, body)
        except PageUnusable as error:
            raise OSError(str(error)) from error
