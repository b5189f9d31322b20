"""Admission: whether a client that has just connected comes in, asked of policy, the porter, the crowd and the rates.

Facts are gathered here and judged in policy/client.py and policy/crowd.py; listener.py lets it in or turns it away.
"""

from __future__ import annotations

from mercury_s.door import Door, ListenerTerms, Visitors
from mercury_s.policy.client import ClientFacts, Welcome, decide_client
from mercury_s.policy.crowd import CrowdFacts, decide_room
from mercury_s.policy.verdict import Refuse
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.routing.decide import site_of_client


@light
@dataclass(frozen=True, slots=True)
class Admitted:
    """`is_known`: it is given its time even in a crowd."""

    welcome: Welcome
    is_known: bool


def admit(
    door: Door, terms: ListenerTerms, visitors: Visitors, address: str, descriptor: int, most_descriptors: int
) -> Admitted | Refuse:
    """`descriptor` is the connection's: the higher it is, the fewer are left of `most_descriptors`."""
    welcome = decide_client(_facts(door, terms, visitors, address), door.rules)
    if isinstance(welcome, Refuse):
        return welcome
    is_ours = welcome.exempt or bool(welcome.site)
    refusal = None if is_ours else door.porter.refuse(address)
    if refusal is not None:
        return refusal
    is_known = is_ours or welcome.may_relay or door.porter.knows(address)
    facts = CrowdFacts(
        visitors.all_sessions(),
        door.most_sessions,
        visitors.all_of_network(address),
        door.most_sessions_of_network,
        descriptor,
        most_descriptors,
        is_known,
        is_ours,
    )
    refusal = decide_room(facts)
    if refusal is None and door.throttle is not None and not is_ours:
        refusal = door.throttle.connection(address)
    return Admitted(welcome, is_known) if refusal is None else refusal


def _facts(door: Door, terms: ListenerTerms, visitors: Visitors, address: str) -> ClientFacts:
    site = site_of_client(door.table, address)
    return ClientFacts(
        address,
        site.name if site else "",
        terms.networks,
        terms.relay,
        visitors.all_sessions(),
        visitors.all_of_client(address),
        door.most_sessions,
        door.most_sessions_of_client,
    )
