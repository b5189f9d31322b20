"""The door: everything a session needs to know and to ask, as one value.

A session keeps the door it came in by; a reload makes a new one for those who come later. What counts over all
sessions (how many are open) is in `Visitors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mercury_s.auth.authenticate import Answer
from mercury_s.local.directory import Directory
from mercury_s.policy.client import IpNetwork, Rule
from mercury_s.tally import Tally
from shared.routing.table import RoutingTable
from shared.smtp.extensions import Offer
from shared.smtp.server import Limits
from shared.spool.deposit import Depositor


class Logins(Protocol):
    """Who checks a login (mercury_s/auth)."""

    async def verify(self, login: str, password: str, client: str, is_exempt: bool = False) -> Answer: ...


class Room(Protocol):
    """The room for mail on the spool's file system."""

    def free_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ListenerTerms:
    """What one listener demands and gives."""

    is_submission: bool
    networks: tuple[IpNetwork, ...] = ()
    relay: bool = True
    auth: tuple[str, ...] = ()
    starttls: bool = False
    implicit_tls: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """What holds for every session that comes in by it. Octets and seconds."""

    hostname: str
    table: RoutingTable
    directory: Directory
    depositor: Depositor
    room: Room
    authenticator: Logins
    rules: Sequence[Rule]
    limits: Limits
    largest_message: int
    most_recipients: int
    most_sessions: int
    most_sessions_of_client: int
    idle_seconds: float
    clock: Callable[[], float]

    def offer(self, terms: ListenerTerms, is_encrypted: bool) -> Offer:
        """What EHLO is answered with. AUTH is offered under TLS only."""
        return Offer(
            self.hostname,
            self.largest_message,
            starttls=terms.starttls and not is_encrypted,
            auth=terms.auth if is_encrypted else (),
        )


_ALL = "sessions"
_CLIENT = "client "


class Visitors:
    """The sessions that are open, in all and by client address: those of this process, and `all_...` with those of
    the other workers."""

    def __init__(self) -> None:
        self.sessions = 0
        self.of_client: Counter[str] = Counter()

    def enter(self, address: str) -> None:
        self.sessions += 1
        self.of_client[address] += 1

    def leave(self, address: str) -> None:
        self.sessions -= 1
        self.of_client[address] -= 1
        if self.of_client[address] <= 0:
            del self.of_client[address]

    def all_sessions(self) -> int:
        return self.sessions

    def all_of_client(self, address: str) -> int:
        return self.of_client[address]


class SharedVisitors(Visitors):
    """The same over all workers."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def enter(self, address: str) -> None:
        super().enter(address)
        self._tally.add(_ALL)
        self._tally.add(_CLIENT + address)

    def leave(self, address: str) -> None:
        super().leave(address)
        self._tally.add(_ALL, -1)
        self._tally.add(_CLIENT + address, -1)

    def all_sessions(self) -> int:
        return self._tally.total(_ALL)

    def all_of_client(self, address: str) -> int:
        return self._tally.total(_CLIENT + address)
