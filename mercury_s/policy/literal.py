"""Whether an address literal names us: `user@[192.0.2.1]`, said to the host of that address (RFC 5321 §4.1.3)."""

from __future__ import annotations

import ipaddress


def is_own_literal(domain: str, own_address: str) -> bool:
    """`domain` as shared/mail/address.py has it, `own_address` as the socket says it."""
    if not domain.startswith("["):
        return False
    try:
        said = ipaddress.ip_address(domain[1:-1].removeprefix("IPv6:"))
        ours = ipaddress.ip_address(own_address.partition("%")[0])
    except ValueError:
        return False
    return (getattr(said, "ipv4_mapped", None) or said) == (getattr(ours, "ipv4_mapped", None) or ours)
