"""A site: an office, a LAN, a branch. Which clients are its own, and how its mail leaves the house.

The choice itself is one word. Who acts on it: `decide.py` for a recipient, the daemons by the lane it names. How the
word of the configuration, the operator's own and the state of port 25 come to one: word.py.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from shared.mail.record import dataclass
from shared.routing.next_hop import NextHop

Networks = tuple[IPv4Network | IPv6Network, ...]


class SiteWord(StrEnum):
    """What can be said of a site. AUTO: direct as long as port 25 is open from here, else relay."""

    RELAY = "relay"
    DIRECT = "direct"
    AUTO = "auto"
    HOLD = "hold"


class Delivery(StrEnum):
    """RELAY: to a smarthost. DIRECT: to the destination itself. HOLD: wait until the word changes."""

    RELAY = "relay"
    DIRECT = "direct"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Site:
    """`networks` are its clients, who may relay. `smarthosts` are tried in order; a relay site has at least one.

    `delivery` is what is in force now; `why` says so where it is not simply the word of the configuration.
    """

    name: str
    networks: Networks
    delivery: Delivery
    smarthosts: tuple[NextHop, ...] = ()
    why: str = field(default="", compare=False)
