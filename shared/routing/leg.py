"""A leg: the recipients of one message that go to the same place, and the next hops to try for them, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from shared.mail.envelope import Recipient
from shared.mail.light import light
from shared.mail.outcome import Outcome
from shared.mail.record import dataclass
from shared.routing.next_hop import NextHop


@light
@dataclass(frozen=True, slots=True)
class Leg:
    """`destination` names what concurrency and back-off are counted by, and what the operator reads:
    a site's relay (`relay hq`), or a domain. `reason` says why these recipients go this way.
    `most` legs may be under way there at once; 0: as many as go well."""

    destination: str
    recipients: tuple[Recipient, ...]
    hops: tuple[NextHop, ...] = ()
    reason: str = ""
    most: int = 0


@light
@dataclass(frozen=True, slots=True)
class Plan:
    """Where the unfinished recipients of an entry go. `settled` are those whose outcome needs no journey
    (a null MX, a name that does not exist, a resolver that does not answer)."""

    legs: tuple[Leg, ...]
    settled: Mapping[Recipient, Outcome] = field(default_factory=dict)
