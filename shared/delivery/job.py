"""A job: an entry in flight, from its claim to its settlement. Values only; what happens to it is in course.py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from shared.delivery.attempt import Outcomes
from shared.mail.envelope import Recipient
from shared.spool.claim import Claim


@dataclass(slots=True, eq=False)
class Job:
    """Once `is_settling`, calling it off would forget what has happened. `called_by`: the destination that it was
    called back for. `task`: at whose end it is another's, or has ended. `since`: when it was taken up, Unix time."""

    claim: Claim
    outcomes: Outcomes = field(default_factory=dict)
    kept: frozenset[Recipient] = frozenset()
    is_settling: bool = False
    called_by: str = ""
    task: asyncio.Task[None] | None = None
    since: float = 0.0
