"""Terms: what a next hop demands beyond the protocol, and what we grant it of the day and of the line.

Values only. Most hops have none, and then nothing is asked for any message. Who keeps to them: shared/transport.
"""

from __future__ import annotations

from datetime import tzinfo

from shared.mail.address import Address
from shared.mail.record import dataclass
from shared.routing.budget import NO_BUDGET, Budget
from shared.routing.hours import Span


@dataclass(frozen=True, slots=True)
class Terms:
    """`most_recipients` of one transaction and `bandwidth` (octets a second, all connections together): 0 is no limit
    of ours. `hours`: outside of them mail waits, in the time of `zone` (None: the host's). `author`: the account's
    address, in whose name all mail goes; None: mail goes in the name of who wrote it.
    """

    budget: Budget = NO_BUDGET
    most_recipients: int = 0
    hours: tuple[Span, ...] = ()
    zone: tzinfo | None = None
    bandwidth: int = 0
    author: Address | None = None


NO_TERMS = Terms()
