"""Which addresses can be a host of the Internet (RFC 6890). Pure.

IANA's special-purpose registries are the measure. The blocks for documentation are left out: nobody routes them, so
they endanger nobody, and laboratories use them as their Internet.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_FORBIDDEN_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network, unspecified
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; cloud hosts keep secrets there
            "172.16.0.0/12",  # private, RFC 1918
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private, RFC 1918
            "198.18.0.0/15",  # benchmarks, RFC 2544
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
#  IPv6 turns it round: global unicast is this block, and all else is loopback, mapped, unique local, link-local, …
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
#  Inside it, those that hide an IPv4 address: Teredo (RFC 4380) and 6to4 (RFC 3056).
_FORBIDDEN_6 = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))


@lru_cache(maxsize=4096)
def is_public(address: str) -> bool:
    """Whether `address` can be a host of the Internet."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _FORBIDDEN_4)
    return parsed in _GLOBAL_6 and not any(parsed in network for network in _FORBIDDEN_6)
