"""Whether there is room for one more, after policy/client.py has found nothing against the client itself.

When it gets crowded, those we know (site networks, logins, who lately gave us mail) come first: the last places are
theirs, and strangers are given less time.
"""

from __future__ import annotations

import ipaddress

from mercury_s.policy.client import SERVER_BUSY
from mercury_s.policy.verdict import Refuse
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply

NETWORK_BUSY = Reply(421, "4.7.0", "Too many sessions from your network; close some first")

_STRESS = 0.8  #  of the sessions there may be
_FOR_STRANGERS = 0.95


@light
@dataclass(frozen=True, slots=True)
class CrowdFacts:
    """Sessions open now, this one not counted. `descriptor` is the number of the client's socket: the system gives
    the lowest that is free, so all below it are in use. `most_descriptors` leaves enough for files."""

    sessions: int
    most_sessions: int
    sessions_of_network: int
    most_sessions_of_network: int
    descriptor: int
    most_descriptors: int
    is_known: bool
    is_exempt: bool


def prefix_of(address: str) -> str:
    """What counts as one network: an IPv4 /24, an IPv6 /64."""
    if ":" not in address:
        return address.rpartition(".")[0]
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped).rpartition(".")[0]
    return f"{int(parsed) >> 64:x}"


def is_crowded(sessions: int, most_sessions: int) -> bool:
    """Whether the times of strangers get short."""
    return sessions >= most_sessions * _STRESS


def decide_room(facts: CrowdFacts) -> Refuse | None:
    if facts.descriptor >= facts.most_descriptors:
        return Refuse(SERVER_BUSY, "nearly all file descriptors are in use")
    if not facts.is_known and facts.sessions >= facts.most_sessions - int(facts.most_sessions * (1 - _FOR_STRANGERS)):
        return Refuse(SERVER_BUSY, "the last of receive.limits.sessions are for clients we know")
    if not facts.is_exempt and facts.sessions_of_network >= facts.most_sessions_of_network:
        return Refuse(NETWORK_BUSY, "receive.limits.sessions_per_network is reached")
    return None


def descriptors_for_sessions(limit: int) -> int:
    """Up to which number a descriptor may be a session's: the rest is for the spool, mailboxes and lookups."""
    return limit - min(max(32, limit // 8), limit // 2)
