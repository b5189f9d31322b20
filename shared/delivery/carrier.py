"""What the runner asks of those who know the way: the planner of routes and the carrier.

MercuryS, C and E each bring their own two; the runner does not know which daemon it runs in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Outcome
from shared.routing.leg import Leg, Plan


class RoutePlanner(Protocol):
    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        """Which legs the recipients travel. Every recipient is in exactly one leg or in `settled`."""


class Carrier(Protocol):
    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        """Take the message over one leg. Every recipient of the leg has an outcome in the answer.

        What goes wrong on the way is an outcome, never an exception; an exception is a fault of the carrier, and the
        runner defers the leg.
        """
