"""The blacklist: networks that are not let in for a while, by whom and why. A value in memory, without files.

A lookup costs one dictionary access for each length of prefix in use; the number of entries is bounded. Not here: the
file (blacklist_file.py), who is put on it (mercury_s/porter.py), who is exempt (mercury_s/policy).
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Iterator

from shared.mail.record import dataclass

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """`until` in Unix seconds; infinite for one that stays until it is removed. `by` is a daemon or a person."""

    network: IpNetwork
    reason: str
    added: float
    until: float
    by: str = ""


class Blacklist:
    """Entries by network. A second entry for a network takes the place of the first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._entries: dict[IpNetwork, Entry] = {}
        self._lengths: Counter[tuple[int, int]] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def put(self, entry: Entry) -> None:
        """When the list is full, the entry that ends first makes room."""
        if entry.network not in self._entries and len(self._entries) >= self._most:
            self.drop(min(self._entries.values(), key=lambda known: known.until).network)
        if entry.network not in self._entries:
            self._lengths[entry.network.version, entry.network.prefixlen] += 1
        self._entries[entry.network] = entry

    def drop(self, network: IpNetwork) -> Entry | None:
        entry = self._entries.pop(network, None)
        if entry is not None:
            length = (network.version, network.prefixlen)
            self._lengths[length] -= 1
            if not self._lengths[length]:
                del self._lengths[length]
        return entry

    def clear(self) -> None:
        self._entries.clear()
        self._lengths.clear()

    def find(self, address: str, now: float) -> Entry | None:
        """The entry in force that holds `address`, the narrowest first."""
        if not self._entries:
            return None
        parsed = parse_address(address)
        if parsed is None:
            return None
        for version, length in sorted(self._lengths, reverse=True):
            if version == parsed.version:
                entry = self._entries.get(ipaddress.ip_network((parsed, length), strict=False))
                if entry is not None and entry.until > now:
                    return entry
        return None

    def forget_past(self, now: float) -> int:
        """Drop what is over; how many that were."""
        past = [entry.network for entry in self._entries.values() if entry.until <= now]
        for network in past:
            self.drop(network)
        return len(past)


def parse_address(text: str) -> IpAddress | None:
    """An IPv4 address that came dressed as IPv6 is an IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network_of(text: str) -> IpNetwork:
    """What one host counts as: its IPv4 address, or the /64 out of which an IPv6 host takes its addresses. A network
    stays what it is. Raises ValueError."""
    if "/" in text:
        return ipaddress.ip_network(text)
    address = parse_address(text)
    if address is None:
        raise ValueError(f"{text[:60]!r} is no IP address")
    return ipaddress.ip_network((address, 32 if address.version == 4 else 64), strict=False)


FOREVER = math.inf
