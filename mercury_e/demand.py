"""What is demanded of the TLS of a mail host: by a route, by its TLSA records, by its domain's policy, by the sender.

Here: which of them counts, and the questions about TLSA. The order: a route of ours; else DANE (RFC 7672); else
MTA-STS (RFC 8461 §2: a policy never weakens DANE); else TLS where it is offered. Not here: what the records mean
(dane.py), where policies come from (policies.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mercury_e.dane import Dane, base_names, has_insecure_alias, read_tlsa
from mercury_e.mta_sts import Mode, Policy
from mercury_e.mx import Target
from shared.dns.answers import Answer, Trouble
from shared.dns.name_service import NameService
from shared.mail.record import dataclass
from shared.routing.next_hop import NO_MORE_TRUST, NextHop, Tls, Trust

Finding = Dane | Trouble | None


@dataclass(frozen=True, slots=True)
class Demand:
    """For the recipients of one domain. `tls` is what a route says, None when it says nothing, and `pins` its pins.

    `is_proved`: the names of the hosts are proved by DNSSEC. `is_required`: the sender demands TLS all the way
    (REQUIRETLS). `is_waived`: the sender would rather have it arrive than protected (TLS-Required: no).
    """

    tls: Tls | None = None
    pins: tuple[str, ...] = ()
    policy: Policy | None = None
    is_proved: bool = False
    is_required: bool = False
    is_waived: bool = False

    @property
    def is_for_dane(self) -> bool:
        """Whether TLSA records matter. Those of a host whose name is not proved say nothing (RFC 7672 §2.2.1)."""
        return self.is_proved and (self.tls is Tls.DANE or (self.tls is None and not self.is_waived))


async def ask_dane(
    resolver: NameService, port: int, hosts: Sequence[str], addresses: Mapping[str, Answer[tuple[str, ...]]]
) -> dict[str, Finding]:
    """What the TLSA records of each host demand; Trouble where nobody can tell."""
    distinct = list(dict.fromkeys(hosts))
    found = await asyncio.gather(*(_ask_host(resolver, port, host, addresses[host]) for host in distinct))
    return dict(zip(distinct, found, strict=True))


async def _ask_host(resolver: NameService, port: int, host: str, addresses: Answer[tuple[str, ...]]) -> Finding:
    alias = await resolver.alias(host) if has_insecure_alias(addresses) else None
    if isinstance(alias, Trouble):
        return alias
    for base in base_names(host, addresses, alias):
        finding = read_tlsa(base, await resolver.tlsa(port, base))
        if finding is not None:
            return finding
    return None


def lacks_proof(demand: Demand) -> bool:
    """The sender demands TLS all the way, and nothing proves which hosts are the right ones (RFC 8689 §4.2.1)."""
    is_enforced = demand.policy is not None and demand.policy.mode is Mode.ENFORCE
    return demand.is_required and demand.tls is None and not demand.is_proved and not is_enforced


def decide_hop(target: Target, port: int, demand: Demand, finding: Finding, domain: str) -> NextHop | str:
    """The hop, or why no mail may go to this host now. `domain` is that of the recipients."""
    if isinstance(finding, Trouble):
        #  RFC 7672 §2.1.2: whoever keeps the answer away must not win anything by it.
        return f"its TLSA records cannot be looked up: {finding.reason}"
    hop = NextHop(target.host, port, demand.tls or Tls.OPPORTUNISTIC, addresses=target.addresses)
    if finding is not None:
        return _by_dane(hop, demand, finding, domain)
    if demand.tls is Tls.DANE:
        return "it has no TLSA records that DNSSEC proves, and a route demands DANE"
    if demand.tls is not None:
        return _with(hop, demand.tls, Trust(demand.pins) if demand.pins else NO_MORE_TRUST)
    return _by_policy(hop, demand)


def _by_dane(hop: NextHop, demand: Demand, dane: Dane, domain: str) -> NextHop | str:
    if dane.records:
        #  RFC 7672 §3.2.2: the base name, the host as the MX record has it, the domain of the recipient.
        names = (hop.host, domain) if dane.is_by_name else ()
        return _with(hop, Tls.DANE, Trust(associations=dane.records, names=names), dane.base)
    if demand.tls is Tls.DANE:
        return "none of its TLSA records can be used, and a route demands DANE"
    return _with(hop, Tls.ENCRYPT, Trust(unusable=dane.base), dane.base)


def _by_policy(hop: NextHop, demand: Demand) -> NextHop | str:
    policy = demand.policy
    is_enforced = policy is not None and policy.mode is Mode.ENFORCE
    if policy is not None and is_enforced and not policy.allows(hop.host):
        return "the MTA-STS policy of the domain does not name it"
    if is_enforced:
        return _with(hop, Tls.VERIFY)
    return hop


def _with(hop: NextHop, tls: Tls, trust: Trust = NO_MORE_TRUST, name: str = "") -> NextHop:
    return NextHop(
        hop.host,
        hop.port,
        tls,
        addresses=hop.addresses,
        certified_name=name if name != hop.host else "",
        trust=trust,
    )
