"""The relay's route planner: which recipients go to which smarthosts, in the order to try them.

The decision is shared/routing's; here recipients with the same hops are put into one leg, so that they share one
transaction. Not here: how a hop is reached, and what happens when it is not (shared/transport).
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Outcome
from shared.mail.reply import Reply
from shared.routing.decide import Route, decide_route
from shared.routing.lane import Lane
from shared.routing.leg import Leg, Plan
from shared.routing.next_hop import NextHop
from shared.routing.table import RoutingTable


class SmarthostPlanner:
    """Satisfies shared.delivery.carrier.RoutePlanner. A changed configuration gets a new planner."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table
        self._names = {site.smarthosts: f"relay {name}" for name, site in table.sites.items() if site.smarthosts}

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        legs: dict[tuple[NextHop, ...], list[Recipient]] = {}
        reasons: dict[tuple[NextHop, ...], str] = {}
        settled: dict[Recipient, Outcome] = {}
        for recipient in recipients:
            route = decide_route(self._table, recipient.address, envelope.site)
            if route.lane is not Lane.RELAY:
                settled[recipient] = _not_ours(route)
                continue
            legs.setdefault(route.hops, []).append(recipient)
            reasons.setdefault(route.hops, route.reason)
        return Plan(
            tuple(Leg(self._name(hops), tuple(group), hops, reasons[hops]) for hops, group in legs.items()),
            settled,
        )

    def _name(self, hops: tuple[NextHop, ...]) -> str:
        """The site whose smarthosts they are; for the hop of an exception, the hop."""
        return self._names.get(hops) or f"relay {hops[0]}"


def _not_ours(route: Route) -> Outcome:
    """The route has changed since the entry was judged. It goes to its new lane when it is claimed next."""
    return Deferred(
        Reply(451, "4.4.4", "The way of this message has changed; it waits for its next turn"),
        detail=f"{route.lane.word}: {route.reason}",
        retry_after=0.0,
    )
