"""Whether a client may come in, and what follows from where it is: the site it belongs to, the right to relay.

Looked at once, when the connection opens; the first connection rule that names the address counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from mercury_s.policy.verdict import Refuse
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

NOT_WELCOME = Reply(554, "5.7.1", "This server takes no mail from your address")
SERVER_BUSY = Reply(421, "4.3.2", "Too many sessions here at the moment; try again later")
CLIENT_BUSY = Reply(421, "4.7.0", "Too many sessions from your address; close some first")


class Rule(Protocol):
    """A connection rule: `action` is allow, refuse or relay; `source` is where it stands, `file:line`."""

    @property
    def networks(self) -> tuple[IpNetwork, ...]: ...
    @property
    def action(self) -> str: ...
    @property
    def exempt(self) -> bool: ...
    @property
    def source(self) -> str: ...


@light
@dataclass(frozen=True, slots=True)
class ClientFacts:
    """`site` is the site whose network holds the address, or empty. `sessions` are those open now, this one not
    counted, in all and from the same address. `relay_listener`: networks give the right to relay at this port."""

    address: str
    site: str
    listener_networks: tuple[IpNetwork, ...]
    relay_listener: bool
    sessions: int
    sessions_of_client: int
    most_sessions: int
    most_sessions_of_client: int


@light
@dataclass(frozen=True, slots=True)
class Welcome:
    """`site` is empty for a stranger. `exempt`: neither the limits per client nor the filters count."""

    may_relay: bool
    exempt: bool
    site: str
    reason: str


def decide_client(facts: ClientFacts, rules: Sequence[Rule]) -> Welcome | Refuse:
    address = parse_client(facts.address)
    if facts.listener_networks and not is_in(address, facts.listener_networks):
        return Refuse(NOT_WELCOME, "the listener's networks do not hold the client")
    number, rule = next(((n, r) for n, r in enumerate(rules, 1) if is_in(address, r.networks)), (0, None))
    if rule is not None and rule.action == "refuse":
        return Refuse(NOT_WELCOME, f"{_name(number, rule)} refuses the client")
    if facts.sessions >= facts.most_sessions:
        return Refuse(SERVER_BUSY, "receive.limits.sessions is reached")
    exempt = rule is not None and rule.exempt
    if not exempt and facts.sessions_of_client >= facts.most_sessions_of_client:
        return Refuse(CLIENT_BUSY, "receive.limits.sessions_per_client is reached")
    if not facts.relay_listener:
        return Welcome(False, exempt, facts.site, "the listener gives no right to relay by network")
    if rule is not None and rule.action == "relay":
        return Welcome(True, exempt, facts.site, f"{_name(number, rule)} lets the client relay")
    if facts.site:
        return Welcome(True, exempt, facts.site, f"the client is in a network of site {facts.site}")
    return Welcome(False, exempt, "", "the client is in no site's network")


def _name(number: int, rule: Rule) -> str:
    return f"connection rule {number}" + (f" ({rule.source})" if rule.source else "")


@lru_cache(maxsize=1024)
def parse_client(address: str) -> IpAddress:
    """The client's address as networks hold it: without its zone, and IPv4 even where the socket is an IPv6 one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed


def is_in(address: IpAddress, networks: Sequence[IpNetwork]) -> bool:
    return any(address in network for network in networks)
