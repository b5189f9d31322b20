"""Where the recipients of a message go, end to end: asks the DNS and hands what it says to the pure rooms.

Here: the questions, who shares a leg, and the demand on TLS. Not here: what answers mean (mx.py), which addresses may
be dialled (reach.py). Satisfies shared.delivery.carrier.RoutePlanner.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mercury_e.mx import (
    Exchangers,
    Refusal,
    Target,
    decide_literal,
    decide_targets,
    order_hosts,
    read_exchangers,
)
from mercury_e.reach import Network, Reach
from shared.dns.answers import Answer, MxRecord
from shared.dns.name_service import NameService
from shared.mail.address import AddressError, to_ascii
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Failed, Outcome
from shared.mail.reply import Reply
from shared.routing.decide import decide_route
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.table import RoutingTable

T = TypeVar("T")
_Settled = dict[Recipient, Outcome]


@dataclass(slots=True)
class _Errand:
    """The recipients of one domain under one demand on TLS."""

    domain: str
    tls: Tls
    reason: str
    recipients: list[Recipient] = field(default_factory=list)

    @property
    def literal(self) -> str:
        """The IP address when the domain is an address literal, else empty."""
        return self.domain[1:-1].lower().removeprefix("ipv6:") if self.domain.startswith("[") else ""


@dataclass(slots=True)
class _Group:
    """Errands to the same hosts. `hosts` in the order to try them."""

    hosts: tuple[MxRecord, ...]
    errands: list[tuple[_Errand, Exchangers]] = field(default_factory=list)


class EndToEndPlanner:
    """`own_names` are the names of this host beside its hostname, `own_addresses` those of its interfaces.

    `allowed` opens networks that are otherwise never dialled. A planner does not change: a new configuration, a new
    planner; the resolver with its cache may stay.
    """

    def __init__(
        self,
        resolver: NameService,
        table: RoutingTable,
        *,
        port: int = 25,
        own_names: Iterable[str] = (),
        own_addresses: Iterable[str] = (),
        allowed: Collection[Network] = (),
        shuffle: Callable[[list[MxRecord]], None] = random.shuffle,
    ) -> None:
        self._resolver = resolver
        self._table = table
        self._port = port
        self._own_names = frozenset(to_ascii(name).rstrip(".") for name in (table.hostname, *own_names))
        self._reach = Reach(own_addresses, allowed)
        self._shuffle = shuffle

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        """Who can go, goes in as few legs as there are sets of hosts; the others are settled."""
        settled: _Settled = {}
        errands = self._sort_out(envelope, recipients, settled)
        legs = [leg for errand in errands if errand.literal for leg in self._go_straight(errand, settled)]
        named = [errand for errand in errands if not errand.literal]
        if named:
            answers = await _ask_all(self._resolver.mx, (errand.domain for errand in named))
            groups = self._group(named, answers, settled)
            hosts = (host.host for group in groups for host in group.hosts)
            addresses = await _ask_all(self._resolver.addresses, hosts)
            legs += [leg for group in groups for leg in self._go_by_mx(group, addresses, settled)]
        return Plan(tuple(legs), settled)

    def _sort_out(self, envelope: Envelope, recipients: Sequence[Recipient], settled: _Settled) -> list[_Errand]:
        """The recipients by domain and demand, in their order; those whose domain is none are settled."""
        errands: dict[tuple[str, Tls], _Errand] = {}
        for recipient in recipients:
            try:
                domain = recipient.address.ascii_domain
            except AddressError as error:
                settled[recipient] = Failed(Reply(550, "5.1.2", str(error)))
                continue
            if not domain:
                settled[recipient] = Failed(Reply(550, "5.1.2", "the address has no domain"))
                continue
            route = decide_route(self._table, recipient.address, envelope.site)
            tls = route.tls or Tls.OPPORTUNISTIC
            errand = errands.get((domain, tls))
            if errand is None:
                errand = errands[domain, tls] = _Errand(domain, tls, route.reason)
            errand.recipients.append(recipient)
        return list(errands.values())

    def _group(
        self, errands: Sequence[_Errand], answers: Mapping[str, Answer[tuple[MxRecord, ...]]], settled: _Settled
    ) -> list[_Group]:
        """Domains with the same hosts and the same demand together. Equal means equal: a host in common is not
        enough, as only the owner of a domain says who may take its mail."""
        groups: dict[tuple[tuple[MxRecord, ...], Tls], _Group] = {}
        for errand in errands:
            decision = read_exchangers(errand.domain, answers[errand.domain], self._own_names)
            if not isinstance(decision, Exchangers):
                settled.update(dict.fromkeys(errand.recipients, decision))
                continue
            key = (decision.records, errand.tls)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(order_hosts(decision, self._shuffle))
            group.errands.append((errand, decision))
        return list(groups.values())

    def _go_by_mx(
        self, group: _Group, addresses: Mapping[str, Answer[tuple[str, ...]]], settled: _Settled
    ) -> Iterable[Leg]:
        """One leg for the whole group, or none; then each domain gets its own words about why."""
        ready: list[_Errand] = []
        targets: tuple[Target, ...] = ()
        for errand, exchangers in group.errands:
            decision = decide_targets(errand.domain, exchangers, group.hosts, addresses, self._reach)
            if isinstance(decision, tuple):
                targets = decision
                ready.append(errand)
            else:
                settled.update(dict.fromkeys(errand.recipients, decision))
        if ready:
            # The best host by name, whatever chance says today: concurrency and back-off are counted by it.
            yield self._leg(group.errands[0][1].records[0].host, ready, targets)

    def _go_straight(self, errand: _Errand, settled: _Settled) -> Iterable[Leg]:
        decision: tuple[Target, ...] | Refusal = decide_literal(errand.literal, self._reach)
        if isinstance(decision, tuple):
            yield self._leg(errand.domain, [errand], decision)
        else:
            settled.update(dict.fromkeys(errand.recipients, decision))

    def _leg(self, destination: str, errands: Sequence[_Errand], targets: Sequence[Target]) -> Leg:
        first = errands[0]
        hops = tuple(NextHop(target.host, self._port, first.tls, addresses=target.addresses) for target in targets)
        recipients = tuple(recipient for errand in errands for recipient in errand.recipients)
        return Leg(destination, recipients, hops, f"{first.reason}, by way of {', '.join(hop.host for hop in hops)}")


async def _ask_all(ask: Callable[[str], Awaitable[Answer[T]]], names: Iterable[str]) -> dict[str, Answer[T]]:
    """Every question once and all at the same time; a single one without the cost of a task."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        return {distinct[0]: await ask(distinct[0])}
    return dict(zip(distinct, await asyncio.gather(*map(ask, distinct)), strict=True))
