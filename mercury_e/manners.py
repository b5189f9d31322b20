"""Manners that single destinations want: how many connections, how many messages in a time, how many recipients.

Pure. A destination is a set of mail hosts, called by the best of them (route.py); what is said of it counts for all
domains that name this set, over all its hosts together. Not here: who keeps to it (shared/delivery/destinations.py
for the connections, shared/transport/steward.py for the rest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.mail.record import dataclass
from shared.routing.next_hop import NextHop
from shared.routing.terms import NO_TERMS, Terms


@dataclass(frozen=True, slots=True)
class Manner:
    """`hosts` are names, `*.domain` for what lies below it, or `*`. `connections`: 0 is as many as go well."""

    hosts: tuple[str, ...]
    connections: int = 0
    terms: Terms = NO_TERMS

    def concerns(self, host: str) -> bool:
        return any(
            pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in self.hosts
        )


def manner_of(manners: Sequence[Manner], destination: str) -> Manner | None:
    """The first that concerns the destination."""
    return next((manner for manner in manners if manner.concerns(destination)), None)


def in_manner(hop: NextHop, manner: Manner, destination: str) -> NextHop:
    """The hop with its terms; what is counted there is counted for the destination, not for the host."""
    if manner.terms is NO_TERMS:
        return hop
    return replace(hop, terms=manner.terms, known_as=f"destination {destination}")
