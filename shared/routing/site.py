"""A site: an office, a LAN, a branch. Which clients are its own, and how its mail leaves the house.

The choice itself is one word. Who acts on it: `decide.py` for a recipient, the daemons by the lane it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from shared.routing.next_hop import NextHop

Networks = tuple[IPv4Network | IPv6Network, ...]


class Delivery(StrEnum):
    """RELAY: to a smarthost. DIRECT: to the destination itself. HOLD: wait until the word changes."""

    RELAY = "relay"
    DIRECT = "direct"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Site:
    """`networks` are its clients, who may relay. `smarthosts` are tried in order; a relay site has at least one."""

    name: str
    networks: Networks
    delivery: Delivery
    smarthosts: tuple[NextHop, ...] = ()
