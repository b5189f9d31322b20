"""The ways of a moment ago: where mail for one domain went, so that the next message for it need not be planned.

What a plan is made of (the DNS, the policies, hosts(5)) is remembered for longer than this below, but to put it
together costs a quarter of a message. Here: which plans are worth keeping, and for how long. Not here: planning
(route.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from shared.dns.answers import MxRecord
from shared.routing.leg import Leg

#  Seconds. As long may what changes, a file of hosts or a policy, stay unseen for a destination under way.
LASTS = 10.0
#  Beyond, all are forgotten: they come again as they are needed.
MOST = 5000


class KnownWays:
    """By whatever the plan depends on but time. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ways: dict[Hashable, tuple[float, Leg]] = {}

    def find(self, key: Hashable) -> Leg | None:
        """The leg of a moment ago, with the recipients of then."""
        known = self._ways.get(key)
        return known[1] if known is not None and self._clock() < known[0] else None

    def note(self, key: Hashable, leg: Leg, hosts: Sequence[MxRecord]) -> None:
        """Only where `leg` takes all of the `hosts` there are, and chance had no say in their order: hosts that are
        equals share the mail, and one that is left out is told of with each message."""
        if len(leg.hops) != len(hosts) or len({host.preference for host in hosts}) != len(hosts):
            return
        if len(self._ways) >= MOST:
            self._ways.clear()
        self._ways[key] = (self._clock() + LASTS, leg)
