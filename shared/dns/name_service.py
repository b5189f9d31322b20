"""What those who send mail ask of the DNS. The Resolver satisfies it, and so does the fake of the tests."""

from __future__ import annotations

from typing import Protocol

from shared.dns.answers import Answer, MxRecord, TlsaRecord


class NameService(Protocol):
    async def mx(self, domain: str) -> Answer[tuple[MxRecord, ...]]:
        """The MX records of `domain`, in no particular order; aliases are followed."""

    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        """The IPv6 and IPv4 addresses of `host`, each family in the order the DNS gave; aliases are followed."""

    async def tlsa(self, port: int, host: str) -> Answer[tuple[TlsaRecord, ...]]:
        """The TLSA records of the server at `port` of `host`; aliases are followed."""

    async def alias(self, host: str) -> Answer[tuple[str, ...]]:
        """What `host` is an alias of; NoData when it is none."""

    async def text(self, label: str, domain: str) -> Answer[tuple[str, ...]]:
        """The TXT records of `label` below `domain`, the strings of each put together; aliases are followed."""
