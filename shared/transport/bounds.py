"""What one attempt may cost before the message waits for its next one: sessions, and time to find one.

A stranger writes his own list of mail hosts, and may make it long, and each host slow. How many addresses of it are
tried is bounded where they are picked (mercury_e/reach.py), and a dead host is left alone for a while, whoever names
it (dial.py). The operator chooses smarthosts; they are all tried.
"""

from __future__ import annotations

from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class AttemptBounds:
    """`sessions` in which a server heard of the message and broke off, before no other host is asked. `seconds` from
    the beginning of the attempt to the session that carries the message, over all hosts and addresses; a transfer
    under way is not cut short by it (RFC 5321 §4.5.3.2 has its times)."""

    sessions: int = 2
    seconds: float = 600.0
