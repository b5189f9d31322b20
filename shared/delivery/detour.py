"""A detour: the way that an operator has chosen for an entry, in place of the route (`mercury queue reroute`).

It stands in the entry's trail, so that it holds through restarts and reloads until another line takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.mail.envelope import Envelope
from shared.mail.record import dataclass
from shared.routing.lane import Lane
from shared.routing.next_hop import NextHop, Tls
from shared.routing.table import RoutingTable
from shared.spool.trail import REROUTED, TrailRecord

#  In the trail, in place of a lane: from here on by the configuration again.
BY_ROUTE = "route"
_IMPLICIT_TLS_PORT = 465

FindHops = Callable[["Detour", Envelope], tuple[NextHop, ...]]


@dataclass(frozen=True, slots=True)
class Detour:
    """`host` empty: the lane's own way, in the relay lane the smarthosts of the message's site."""

    lane: Lane
    host: str = ""
    port: int = 0
    tls: Tls = Tls.VERIFY

    def __str__(self) -> str:
        """As it stands in the trail: `relay`, or `relay via mx.example:25 tls=verify`."""
        return self.lane.word + (f" via {self.host}:{self.port} tls={self.tls.value}" if self.host else "")


def parse_detour(text: str) -> Detour | None:
    """What `str` has made, whatever follows; None for BY_ROUTE and for what we do not understand."""
    words = text.split()
    lane = next((lane for lane in (Lane.RELAY, Lane.DIRECT) if words[:1] == [lane.word]), None)
    if lane is None:
        return None
    if words[1:2] != ["via"]:
        return Detour(lane)
    host, _, port = words[2].rpartition(":")
    try:
        return Detour(lane, host, int(port), Tls(words[3].removeprefix("tls=")))
    except (ValueError, IndexError):
        return None


def detour_of(records: Sequence[TrailRecord]) -> Detour | None:
    """The one in force, None when the entry goes by the configuration."""
    for record in reversed(records):
        if record.event == REROUTED:
            return parse_detour(record.detail)
    return None


def hops_of(table: RoutingTable, detour: Detour, envelope: Envelope) -> tuple[NextHop, ...]:
    """Where MercuryC goes with it; empty when there is nowhere. A smarthost of the configuration is used as it stands
    there, with its login and its demands."""
    if not detour.host:
        for name in (envelope.site, table.here):
            if (site := table.sites.get(name)) and site.smarthosts:
                return site.smarthosts
        return ()
    for site in table.sites.values():
        for hop in site.smarthosts:
            if (hop.host.lower(), hop.port) == (detour.host.lower(), detour.port):
                return (hop,)
    return (NextHop(detour.host, detour.port, detour.tls, implicit_tls=detour.port == _IMPLICIT_TLS_PORT),)


def no_hops(detour: Detour, envelope: Envelope) -> tuple[NextHop, ...]:
    """For a runner that relays nothing."""
    return ()
