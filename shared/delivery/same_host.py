"""Pure: a message that may have been delivered goes to the same server first (RFC 1047).

It has the message, if anybody has: many servers know a message that they have taken before, and no other server can.
Not here: how it came about (shared/smtp/client.py), or where it is written down (settlement.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.delivery.settlement import MAYBE_DELIVERED
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop
from shared.spool.trail import TrailRecord

#  As outcomes name a host: name[address]:port.
_HOST = re.compile(r"(?P<name>[^\[\]]+)\[(?P<address>[^\[\]]+)\]:(?P<port>[0-9]+)\Z")


def hosts_that_may_have_it(records: Iterable[TrailRecord]) -> list[str]:
    """Who may have taken the message without saying so, the last one first."""
    hosts = [record.host for record in records if record.host and record.detail.startswith(MAYBE_DELIVERED)]
    return list(dict.fromkeys(reversed(hosts)))


def same_host_first(leg: Leg, hosts: Sequence[str]) -> Leg:
    """`leg` with the first of `hosts` that it may go to at its head."""
    for host in hosts:
        if (found := _HOST.match(host)) is None:
            continue
        for hop in leg.hops:
            if hop.host == found["name"] and hop.port == int(found["port"]):
                others = [other for other in leg.hops if other is not hop]
                return replace(leg, hops=(*_from(hop, found["address"]), *others))
    return leg


def _from(hop: NextHop, address: str) -> tuple[NextHop, ...]:
    """`hop` with this address before all others."""
    if hop.host == address or (hop.addresses and address not in hop.addresses):
        return (hop,)
    if hop.addresses:
        return (replace(hop, addresses=(address, *(other for other in hop.addresses if other != address))),)
    return replace(hop, addresses=(address,)), hop
