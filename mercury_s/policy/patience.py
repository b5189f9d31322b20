"""How long a client may take for what comes next (RFC 5321 §4.5.3.2). Each time is for the whole of a step, so that
an octet now and then does not hold a session.

Pure: moments come in as seconds of one clock. Whose watch it is, and when it looks, is listener.py.
"""

from __future__ import annotations

from enum import Enum

from shared.mail.light import light
from shared.mail.record import dataclass


class Phase(Enum):
    """What we wait for."""

    HANDSHAKE = "the TLS handshake"
    COMMAND = "a whole command"
    CONTENT = "message content"
    OURSELVES = "nothing: it is our turn to answer"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds; `rate` in octets a second is the least that content must keep up over its whole length, after
    `content` seconds of grace. `stress` is what strangers have for anything when there are nearly too many sessions.
    """

    command: float = 300.0
    content: float = 180.0
    rate: float = 500.0
    handshake: float = 60.0
    stress: float = 10.0


@light
@dataclass(frozen=True, slots=True)
class Moment:
    """`since`: when we last said something. `heard`: when it last sent anything, and `octets` how many since then."""

    since: float
    heard: float
    octets: int


def deadline(patience: Patience, phase: Phase, moment: Moment, is_stressed: bool) -> float:
    """When it is too late."""
    if phase is Phase.CONTENT:
        #  A pause is no longer than the grace, and all pauses together no longer than the rate allows.
        grace = min(patience.content, patience.stress) if is_stressed else patience.content
        return min(moment.heard + grace, moment.since + grace + moment.octets / patience.rate)
    if phase is Phase.OURSELVES:
        return float("inf")
    longest = patience.handshake if phase is Phase.HANDSHAKE else patience.command
    return moment.since + (min(longest, patience.stress) if is_stressed else longest)
