"""The IP addresses of this host, so that MercuryE knows itself in a list of mail hosts (RFC 5321 §5.1).

Linux only, read from /proc: the standard library has no call for it. Several addresses an interface count.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

#  /proc/self/net, as /proc/net is hidden from a service with ProcSubset=pid.
_IPV4 = Path("/proc/self/net/fib_trie")
_IPV6 = Path("/proc/self/net/if_inet6")


def parse_fib_trie(lines: Iterable[str]) -> set[str]:
    """The addresses that the routing table calls local: a leaf `|-- ADDRESS`, and `/32 host LOCAL` below it."""
    addresses, leaf = set(), ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            addresses.add(leaf)
    return addresses


def parse_if_inet6(lines: Iterable[str]) -> set[str]:
    """The first column, 32 hexadecimal digits, of each line."""
    return {ipaddress.IPv6Address(int(line.split()[0], 16)).compressed for line in lines if line.strip()}


def own_addresses(outside: Iterable[str] = (), *, ipv4: Path = _IPV4, ipv6: Path = _IPV6) -> frozenset[str]:
    """Every address of every interface, none where the kernel does not tell; and those `outside`, by which strangers
    reach this host through a router that translates addresses."""
    addresses: set[str] = set(outside)
    for path, parse in ((ipv4, parse_fib_trie), (ipv6, parse_if_inet6)):
        try:
            addresses |= parse(path.read_text().splitlines())
        except (OSError, ValueError):
            continue
    return frozenset(addresses)
