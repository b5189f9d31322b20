"""Where the recipients of a message go, end to end: asks the DNS and hands what it says to the pure rooms.

Here: the questions, and who shares a leg. Not here: what answers mean (mx.py), which addresses may be dialled
(reach.py), what is demanded of TLS (demand.py). Satisfies shared.delivery.carrier.RoutePlanner.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from mercury_e.dane import Dane
from mercury_e.demand import Demand, Finding, ask_dane, decide_hop, lacks_proof
from mercury_e.known_ways import KnownWays
from mercury_e.manners import Manner, in_manner, manner_of
from mercury_e.mta_sts import Policy
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
from shared.mail.outcome import Deferred, Failed, Outcome
from shared.mail.reply import Reply, printable
from shared.routing.decide import decide_route
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop, Tls
from shared.routing.table import RoutingTable

V = TypeVar("V")
LeftOut = Callable[[str, str, Demand, Finding, str], object]
_Settled = dict[Recipient, Outcome]
_Addresses = Mapping[str, Answer[tuple[str, ...]]]


class PolicySource(Protocol):
    async def policy(self, domain: str) -> Policy | None:
        """The MTA-STS policy in force for `domain`."""


@dataclass(slots=True)
class _Errand:
    """The recipients of one domain under one demand on TLS."""

    domain: str
    demand: Demand
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
    demand: Demand
    errands: list[tuple[_Errand, Exchangers]] = field(default_factory=list)


class EndToEndPlanner:
    """`own_names` are the names of this host beside its hostname, `own_addresses` those of its interfaces.

    `allowed` opens networks that are otherwise never dialled. `policies` know of MTA-STS; without them nobody asks,
    and without `dane` nobody asks for TLSA records unless a route says so. `left_out` is told of each host that gets
    no mail for a domain, and why: (domain, host, demand, finding, words). A planner does not change: a new
    configuration, a new planner; the resolver with its cache may stay.
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
        dane: bool = True,
        policies: PolicySource | None = None,
        manners: Sequence[Manner] = (),
        left_out: LeftOut | None = None,
        shuffle: Callable[[list[MxRecord]], None] = random.shuffle,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._table = table
        self._port = port
        self._own_names = frozenset(to_ascii(name).rstrip(".") for name in (table.hostname, *own_names))
        self._reach = Reach(own_addresses, allowed)
        self._dane = dane
        self._policies = policies
        self._manners = tuple(manners)
        self._left_out = left_out
        self._shuffle = shuffle
        self._known = KnownWays(clock)

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        """Who can go, goes in as few legs as there are sets of hosts; the others are settled."""
        if len(recipients) != 1:
            return (await self._plan(envelope, recipients))[0]
        key = self._key(envelope, recipients[0])
        known = self._known.find(key)
        if known is not None:
            return Plan((Leg(known.destination, (recipients[0],), known.hops, known.reason, known.most),))
        plan, groups = await self._plan(envelope, recipients)
        if len(groups) == len(plan.legs) == 1 and not groups[0].errands[0][1].stale:
            self._known.note(key, plan.legs[0], groups[0].hosts)
        return plan

    def _key(self, envelope: Envelope, recipient: Recipient) -> Hashable:
        """What the plan for a single recipient depends on, besides what the DNS and the policies say."""
        try:
            domain = recipient.address.ascii_domain
        except AddressError:
            return None
        route = decide_route(self._table, recipient.address, envelope.site)
        return domain, route.tls, route.pins, route.reason, envelope.requiretls, envelope.tls_optional

    async def _plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> tuple[Plan, list[_Group]]:
        settled: _Settled = {}
        groups: list[_Group] = []
        errands = self._sort_out(envelope, recipients, settled)
        legs = [leg for errand in errands if errand.literal for leg in self._go_straight(errand, settled)]
        named = [errand for errand in errands if not errand.literal]
        if named:
            answers = await _ask_all(self._resolver.mx, (errand.domain for errand in named))
            policies = await self._ask_policies(named)
            groups = self._group(named, answers, policies, settled)
            hosts = (host.host for group in groups for host in group.hosts)
            addresses = await _ask_all(self._resolver.addresses, hosts)
            findings = await self._ask_dane(groups, addresses)
            legs += [leg for group in groups for leg in self._go_by_mx(group, addresses, findings, settled)]
        return Plan(tuple(legs), settled), groups

    async def _ask_policies(self, errands: Sequence[_Errand]) -> Mapping[str, Policy | None]:
        if self._policies is None:
            return {}
        domains = [each.domain for each in errands if each.demand.tls is None and not each.demand.is_waived]
        return await _ask_all(self._policies.policy, domains) if domains else {}

    async def _ask_dane(self, groups: Sequence[_Group], addresses: _Addresses) -> Mapping[str, Finding]:
        """Only of hosts that DNSSEC proves: without a validating resolver it costs nothing."""
        asked = [
            host.host
            for group in groups
            if group.demand.is_for_dane and (self._dane or group.demand.tls is Tls.DANE)
            for host in group.hosts
        ]
        return await ask_dane(self._resolver, self._port, asked, addresses) if asked else {}

    def _sort_out(self, envelope: Envelope, recipients: Sequence[Recipient], settled: _Settled) -> list[_Errand]:
        """The recipients by domain and demand, in their order; those whose domain is none are settled."""
        errands: dict[tuple[str, Demand], _Errand] = {}
        is_waived = envelope.tls_optional and not envelope.requiretls
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
            demand = Demand(route.tls, route.pins, is_required=envelope.requiretls, is_waived=is_waived)
            errand = errands.get((domain, demand))
            if errand is None:
                errand = errands[domain, demand] = _Errand(domain, demand, route.reason)
            errand.recipients.append(recipient)
        return list(errands.values())

    def _group(
        self,
        errands: Sequence[_Errand],
        answers: Mapping[str, Answer[tuple[MxRecord, ...]]],
        policies: Mapping[str, Policy | None],
        settled: _Settled,
    ) -> list[_Group]:
        """Domains with the same hosts and the same demand together. Equal means equal: a host in common is not
        enough, as only the owner of a domain says who may take its mail."""
        groups: dict[tuple[tuple[MxRecord, ...], Demand], _Group] = {}
        for errand in errands:
            decision = read_exchangers(errand.domain, answers[errand.domain], self._own_names)
            if not isinstance(decision, Exchangers):
                settled.update(dict.fromkeys(errand.recipients, decision))
                continue
            policy = policies.get(errand.domain)
            demand = replace(errand.demand, is_proved=decision.is_proved, policy=policy)
            if lacks_proof(demand):
                settled.update(dict.fromkeys(errand.recipients, _unproved(errand.domain)))
                continue
            group = groups.get((decision.records, demand))
            if group is None:
                hosts = order_hosts(decision, self._shuffle)
                group = groups[decision.records, demand] = _Group(hosts, demand)
            group.errands.append((errand, decision))
        return list(groups.values())

    def _go_by_mx(
        self, group: _Group, addresses: _Addresses, findings: Mapping[str, Finding], settled: _Settled
    ) -> Iterable[Leg]:
        """One leg for the whole group, or none; then each domain gets its own words about why. Where the names in a
        certificate count, the name of the domain is one of them, and it travels alone."""
        ready: list[_Errand] = []
        targets: tuple[Target, ...] = ()
        for errand, exchangers in group.errands:
            decision = decide_targets(errand.domain, exchangers, group.hosts, addresses, self._reach)
            if isinstance(decision, tuple):
                targets = decision
                ready.append(errand)
            else:
                settled.update(dict.fromkeys(errand.recipients, decision))
        is_by_name = any(isinstance(each, Dane) and each.is_by_name for each in map(findings.get, addresses))
        # The best host by name, whatever chance says today: concurrency and back-off are counted by it.
        destination = group.errands[0][1].records[0].host
        for some in ([each] for each in ready) if is_by_name else [ready] if ready else []:
            yield from self._leg(destination, some, targets, group.demand, findings, settled)

    def _go_straight(self, errand: _Errand, settled: _Settled) -> Iterable[Leg]:
        decision: tuple[Target, ...] | Refusal = decide_literal(errand.literal, self._reach)
        if isinstance(decision, tuple):
            yield from self._leg(errand.domain, [errand], decision, errand.demand, {}, settled)
        else:
            settled.update(dict.fromkeys(errand.recipients, decision))

    def _leg(
        self,
        destination: str,
        errands: Sequence[_Errand],
        targets: Sequence[Target],
        demand: Demand,
        findings: Mapping[str, Finding],
        settled: _Settled,
    ) -> Iterable[Leg]:
        """By the hosts that can be had with the TLS that is demanded; without any, the mail waits."""
        first = errands[0]
        recipients = tuple(recipient for errand in errands for recipient in errand.recipients)
        hops: list[NextHop] = []
        left_out = ""
        for target in targets:
            hop = decide_hop(target, self._port, demand, findings.get(target.host), first.domain)
            if isinstance(hop, NextHop):
                hops.append(hop)
            else:
                left_out += f"; not {target.host}: {hop}"
                if self._left_out is not None:
                    for errand in errands:
                        self._left_out(errand.domain, target.host, demand, findings.get(target.host), hop)
        if hops:
            manner = manner_of(self._manners, destination) if self._manners else None
            if manner is not None:
                hops = [in_manner(hop, manner, destination) for hop in hops]
            most = manner.connections if manner is not None else 0
            way = ", ".join(hop.host for hop in hops)
            yield Leg(destination, recipients, tuple(hops), f"{first.reason}, by way of {way}{left_out}", most)
        else:
            for errand in errands:
                settled.update(dict.fromkeys(errand.recipients, _unprotected(errand.domain, left_out[2:])))


def _unprotected(domain: str, why: str) -> Deferred:
    """No host is as it has to be. That is a fault of its owner, or an attack; both pass."""
    text = f"no mail host of {printable(domain)} can be spoken to with the TLS that is demanded"
    return Deferred(Reply(451, "4.7.5", text), detail=why)


def _unproved(domain: str) -> Failed:
    text = (
        f"the sender demands TLS all the way (REQUIRETLS), and nothing proves the mail hosts of {printable(domain)}"
    )
    return Failed(Reply(550, "5.7.30", text), detail="neither DNSSEC nor an enforced MTA-STS policy names them")


async def _ask_all(ask: Callable[[str], Awaitable[V]], names: Iterable[str]) -> dict[str, V]:
    """Every question once and all at the same time; a single one without the cost of a task."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        return {distinct[0]: await ask(distinct[0])}
    return dict(zip(distinct, await asyncio.gather(*map(ask, distinct)), strict=True))
