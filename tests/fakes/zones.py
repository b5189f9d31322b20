"""A resolver without a network: answers from a table in the test.

    FakeResolver({
        "example.org": {"MX": [(10, "mx.example.org")], "A": ["192.0.2.1"]},
        "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
        "alias.example": {"CNAME": "example.org"},
        "broken.example": Trouble("SERVFAIL"),              # every question about it
        "half.example": {"MX": Trouble("timed out"), "A": ["192.0.2.3"]},
    })

    FakeResolver(zone, signed=("example.org",))            # all below it is authenticated

A name that is not there does not exist; one that is there has no records but those named. Answers may be given whole
(`Found(...)`, `NoData()`), for a name or a type. The table may be changed at any time; `questions` is what was asked.
It passes the same contract tests as the real one (tests/dns/test_name_service_contract.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from shared.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, SrvRecord, TlsaRecord, Trouble
from shared.dns.resolver import join_families

_WHOLE = (Found, NoData, NoSuchName, Trouble)
_TTL = 3600.0


class FakeResolver:
    """Satisfies shared.dns.name_service.NameService."""

    def __init__(self, zone: Mapping[str, Any], signed: tuple[str, ...] = ()) -> None:
        self.zone = dict(zone)
        self.signed = signed
        self.questions: list[tuple[str, str]] = []

    async def mx(self, domain: str) -> Answer[tuple[MxRecord, ...]]:
        await asyncio.sleep(0)  # a real one never answers at once
        return self._look_up(domain, "MX", lambda records: tuple(MxRecord(*record) for record in records))

    async def srv(self, service: str, domain: str) -> Answer[tuple[SrvRecord, ...]]:
        await asyncio.sleep(0)
        name = f"{service}.{domain}"
        return self._look_up(name, "SRV", lambda records: tuple(SrvRecord(*record) for record in records))

    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        return join_families(self._look_up(host, "AAAA", tuple), self._look_up(host, "A", tuple))

    async def tlsa(self, port: int, host: str) -> Answer[tuple[TlsaRecord, ...]]:
        await asyncio.sleep(0)
        return self._look_up(f"_{port}._tcp.{host}", "TLSA", lambda them: tuple(TlsaRecord(*one) for one in them))

    async def alias(self, host: str) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        self.questions.append((host, "CNAME"))
        records = self.zone.get(host, {})
        if not isinstance(records, Mapping) or "CNAME" not in records:
            return NoData(authenticated=self._is_signed(host))
        return Found((records["CNAME"],), _TTL, self._is_signed(host))

    async def text(self, label: str, domain: str) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        return self._look_up(f"{label}.{domain}", "TXT", tuple)

    async def strings(self, name: str) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        return self._look_up(name, "TXT", tuple)

    async def family(self, name: str, version: int) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        return self._look_up(name, "AAAA" if version == 6 else "A", tuple)

    async def pointers(self, address: str) -> Answer[tuple[str, ...]]:
        await asyncio.sleep(0)
        return self._look_up(
            ip_address(address).reverse_pointer, "PTR", lambda names: tuple(name.rstrip(".") for name in names)
        )

    def _is_signed(self, name: str) -> bool:
        return any(name == zone or name.endswith(f".{zone}") for zone in self.signed)

    def _look_up(self, name: str, kind: str, read: Any) -> Answer[Any]:
        self.questions.append((name, kind))
        asked, is_signed = name, True
        for _ in range(9):
            is_signed = is_signed and self._is_signed(name)
            records = self.zone.get(name.lower().rstrip("."), NoSuchName())
            if isinstance(records, _WHOLE):
                return records
            if "CNAME" not in records:
                answer = records.get(kind, NoData(authenticated=is_signed))
                canonical = "" if name == asked else name
                if isinstance(answer, _WHOLE):
                    return answer
                return Found(read(answer), _TTL, is_signed, canonical=canonical)
            name = records["CNAME"]
        return Trouble("more than 8 aliases in a row, or a loop of aliases")
