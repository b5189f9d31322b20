"""Finding the submission servers of a domain in the DNS (RFC 6186, 8314): for smarthosts without a port.

Whoever can forge the DNS must not choose the server that gets our password. So the certificate must name what stands
in the configuration, unless the answer is authenticated or leads to a host below that name (RFC 6125 §6.2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from shared.dns.answers import Answer, Found, SrvRecord
from shared.routing.next_hop import NextHop, Tls

SUBMISSIONS, SUBMISSION = "_submissions._tcp", "_submission._tcp"
MOST_SERVERS = 10


class Services(Protocol):
    async def srv(self, service: str, domain: str) -> Answer[tuple[SrvRecord, ...]]: ...


class Discovery:
    """`services` remembers the answers; here is remembered what they came to."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[NextHop, tuple[object, tuple[NextHop, ...]]] = {}

    async def servers(self, hop: NextHop) -> tuple[NextHop, ...]:
        """The hops that `hop` stands for, which may be itself; their priorities are those of the DNS."""
        for service in _services_for(hop):
            answer = await self._services.srv(service, hop.host)
            #  A host that is "." says that there is no such service (RFC 2782).
            if isinstance(answer, Found) and any(record.host != "." for record in answer.values):
                return self._made(hop, service, answer)
        return (replace(hop, discover=False, known_as=hop.book_name),)

    def _made(self, hop: NextHop, service: str, answer: Found[tuple[SrvRecord, ...]]) -> tuple[NextHop, ...]:
        mark = (service, answer.values, answer.authenticated)
        known = self._known.get(hop)
        if known is None or known[0] != mark:
            records = [record for record in answer.values if record.host != "."][:MOST_SERVERS]
            made = tuple(_hop(hop, service, record, answer.authenticated) for record in records)
            known = self._known[hop] = (mark, made)
        return known[1]


def _services_for(hop: NextHop) -> Sequence[str]:
    if hop.implicit_tls:
        return (SUBMISSIONS,)
    return (SUBMISSION,) if hop.tls is Tls.OFF else (SUBMISSIONS, SUBMISSION)


def _hop(hop: NextHop, service: str, record: SrvRecord, is_authenticated: bool) -> NextHop:
    is_own = record.host == hop.host or record.host.endswith(f".{hop.host}")
    return replace(
        hop,
        host=record.host,
        port=record.port,
        implicit_tls=service == SUBMISSIONS,
        discover=False,
        priority=record.priority,
        weight=record.weight,
        certified_name="" if is_own or is_authenticated else hop.host,
        known_as=hop.book_name,
    )
