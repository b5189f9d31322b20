"""What those who send mail ask of the DNS. The Resolver satisfies it, and so does the fake of the tests."""

from __future__ import annotations

from typing import Protocol

from shared.dns.answers import Answer, MxRecord


class NameService(Protocol):
    async def mx(self, domain: str) -> Answer[tuple[MxRecord, ...]]:
        """The MX records of `domain`, in no particular order; aliases are followed."""

    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        """The IPv6 and IPv4 addresses of `host`, each family in the order the DNS gave; aliases are followed."""
