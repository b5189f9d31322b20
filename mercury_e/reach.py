"""Which addresses MercuryE dials, which it never does, and which are its own. Pure.

A stranger writes the DNS records of his domain; they must not make us speak to the hosts of this network, nor to
ourselves. Not here: what is public address space (shared/vantage/public_space.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence

from shared.vantage.public_space import is_public

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_ADDRESSES = 5  #  dialled in one attempt, all hosts together
_IN_A_ROW = 2  #  of one host, before the next host has its turn


class Reach:
    """`own` are the addresses of this host's interfaces; `allowed` the networks that direct.allow_addresses opens.

    A loopback address never counts as our own: it is forbidden, and where the operator allows it, he means another
    server on this host.
    """

    def __init__(self, own: Iterable[str] = (), allowed: Collection[Network] = ()) -> None:
        addresses = [ipaddress.ip_address(address) for address in own]
        self._own = frozenset(address.compressed for address in addresses if not address.is_loopback)
        self._allowed = tuple(allowed)
        #  Where this host has no IPv6 address of the Internet, IPv4 goes first; the other stays as a second try.
        self._six_first = any(":" in address and is_public(address) for address in self._own)

    def is_own(self, address: str) -> bool:
        return address in self._own

    def is_own_any(self, addresses: Iterable[str]) -> bool:
        return not self._own.isdisjoint(addresses)

    def is_allowed(self, address: str) -> bool:
        return is_public(address) or self._is_opened(address)

    def _is_opened(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._allowed if network.version == parsed.version)

    def order(self, addresses: Iterable[str]) -> list[str]:
        """Those that may be dialled, the families in turn, so that one that is cut off costs one try and not all."""
        allowed = [address for address in dict.fromkeys(addresses) if self.is_allowed(address)]
        six = [address for address in allowed if ":" in address]
        four = [address for address in allowed if ":" not in address]
        first, second = (six, four) if self._six_first else (four, six)
        turns = max(len(first), len(second))
        return [family[turn] for turn in range(turns) for family in (first, second) if turn < len(family)]

    def order_foreign(self, addresses: Iterable[str]) -> list[str]:
        """As `order`, without those of this host, and few enough for one attempt."""
        return [address for address in self.order(addresses) if not self.is_own(address)][:MOST_ADDRESSES]


def pick_addresses(
    hosts: Sequence[tuple[str, Sequence[str]]], reach: Reach, most: int = MOST_ADDRESSES
) -> list[tuple[str, tuple[str, ...]]]:
    """Hosts in their order with the addresses to dial, `most` in all; hosts without any are left out.

    The first host gets two and then the next, as a host with twenty dead addresses must not hide its deputy; RFC 5321
    §5.1 asks for at least two tries.
    """
    waiting = [(host, reach.order(addresses)) for host, addresses in hosts]
    taken = dict.fromkeys((host for host, _ in waiting), 0)
    left = most
    while left and any(taken[host] < len(usable) for host, usable in waiting):
        for host, usable in waiting:
            more = min(_IN_A_ROW, len(usable) - taken[host], left)
            taken[host] += more
            left -= more
    return [(host, tuple(usable[: taken[host]])) for host, usable in waiting if taken[host]]
