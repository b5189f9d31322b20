"""The relay's route planner: which recipients go to which smarthosts, in the order to try them.

The decision is shared/routing's; here recipients with the same hops are put into one leg, so that they share one
transaction. The order among the hops is order.py's, their discovery discovery.py's. Not here: how a hop is reached,
and what happens when it is not (shared/transport).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mercury_c.discovery import Discovery, Services
from mercury_c.order import in_order, is_fixed
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Outcome
from shared.mail.reply import Reply
from shared.routing.decide import Route, decide_route
from shared.routing.lane import Lane
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop
from shared.routing.table import RoutingTable

Hops = tuple[NextHop, ...]


@dataclass(slots=True)
class _Way:
    """Recipients that go by the same hops."""

    hops: Hops
    reason: str
    recipients: list[Recipient] = field(default_factory=list)


class SmarthostPlanner:
    """Satisfies shared.delivery.carrier.RoutePlanner. A changed configuration gets a new planner."""

    def __init__(
        self, table: RoutingTable, services: Services | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self._table = table
        self._chance = chance
        self._discovery = None if services is None else Discovery(services)
        #  By identity, as the table keeps the same tuple for all mail of a site.
        self._names = {id(site.smarthosts): f"relay {name}" for name, site in table.sites.items()}
        self._fixed = {
            id(site.smarthosts): is_fixed(site.smarthosts) and not any(hop.discover for hop in site.smarthosts)
            for site in table.sites.values()
        }

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        ways: list[_Way] = []
        settled: dict[Recipient, Outcome] = {}
        for recipient in recipients:
            route = decide_route(self._table, recipient.address, envelope.site)
            if route.lane is not Lane.RELAY:
                settled[recipient] = _not_ours(route)
                continue
            for way in ways:
                if way.hops is route.hops or way.hops == route.hops:
                    break
            else:
                way = _Way(route.hops, route.reason)
                ways.append(way)
            way.recipients.append(recipient)
        if len(ways) == 1:
            return Plan((await self._leg(ways[0]),), settled)
        return Plan(tuple([await self._leg(way) for way in ways]), settled)

    async def _leg(self, way: _Way) -> Leg:
        hops = way.hops
        ordered = hops if self._fixed.get(id(hops), len(hops) == 1) else await self._ordered(hops)
        return Leg(self._name(hops), tuple(way.recipients), ordered, way.reason)

    async def _ordered(self, hops: Hops) -> Hops:
        ordered: list[NextHop] = []
        for hop in in_order(hops, self._chance):
            if hop.discover and self._discovery is not None:
                ordered += in_order(await self._discovery.servers(hop), self._chance)
            else:
                ordered.append(hop)
        return tuple(ordered)

    def _name(self, hops: Hops) -> str:
        """The site whose smarthosts they are; for the hop of an exception, the hop."""
        return self._names.get(id(hops)) or f"relay {hops[0]}"


def _not_ours(route: Route) -> Outcome:
    """The route has changed since the entry was judged. It goes to its new lane when it is claimed next."""
    return Deferred(
        Reply(451, "4.4.4", "The way of this message has changed; it waits for its next turn"),
        detail=f"{route.lane.word}: {route.reason}",
        retry_after=0.0,
    )
