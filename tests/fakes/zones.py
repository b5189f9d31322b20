"""A resolver without a network: answers from a table in the test.

    FakeResolver({
        "example.org": {"MX": [(10, "mx.example.org")], "A": ["192.0.2.1"]},
        "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
        "alias.example": {"CNAME": "example.org"},
        "broken.example": Trouble("SERVFAIL"),              # every question about it
        "half.example": {"MX": Trouble("timed out"), "A": ["192.0.2.3"]},
    })

A name that is not there does not exist; one that is there has no records but those named. Answers may be given whole
(`Found(...)`, `NoData()`), for a name or a type. The table may be changed at any time; `questions` is what was asked.
It passes the same contract tests as the real one (tests/dns/test_name_service_contract.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, SrvRecord, Trouble
from shared.dns.resolver import join_families

_WHOLE = (Found, NoData, NoSuchName, Trouble)
_TTL = 3600.0


class FakeResolver:
    """Satisfies shared.dns.name_service.NameService."""

    def __init__(self, zone: Mapping[str, Any]) -> None:
        self.zone = dict(zone)
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

    def _look_up(self, name: str, kind: str, read: Any) -> Answer[Any]:
        self.questions.append((name, kind))
        for _ in range(9):
            records = self.zone.get(name.lower().rstrip("."), NoSuchName())
            if isinstance(records, _WHOLE):
                return records
            if "CNAME" not in records:
                answer = records.get(kind, NoData())
                return answer if isinstance(answer, _WHOLE) else Found(read(answer), _TTL)
            name = records["CNAME"]
        return Trouble("more than 8 aliases in a row, or a loop of aliases")
