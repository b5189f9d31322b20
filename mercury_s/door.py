"""The door: everything a session needs to know and to ask, as one value.

A session keeps the door it came in by; a reload makes a new one for those who come later. What counts over all
sessions (how many are open) is in `Visitors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Protocol

from mercury_s.local.directory import Directory
from mercury_s.local.reception import Reception
from mercury_s.login import Logins
from mercury_s.policy.client import IpNetwork, Rule
from mercury_s.policy.crowd import prefix_of
from mercury_s.policy.filters import Filters
from mercury_s.policy.identity import IdentityRules
from mercury_s.policy.patience import Patience
from mercury_s.porter import Blacklisting, Porter
from mercury_s.reach import Reach
from mercury_s.tally import Tally
from mercury_s.throttle import Throttle
from shared.mail.record import dataclass
from shared.routing.table import RoutingTable
from shared.smtp.extensions import Offer
from shared.smtp.server import Limits
from shared.spool.deposit import Depositor


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
    xclient: tuple[IpNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """What holds for every session that comes in by it. Octets and seconds; `most_messages` 0 is no limit, and no
    `throttle` is no rates."""

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
    clock: Callable[[], float]
    porter: Porter
    throttle: Throttle | None = None
    patience: Patience = Patience()
    most_sessions_of_network: int = 200
    most_messages: int = 0
    most_unknown: int = 20
    most_relay_attempts: int = 10
    most_failed_logins: int = 5
    reception: Reception | None = None
    filters: Filters | None = None
    identities: IdentityRules = IdentityRules()
    keeps_subjects: bool = False
    reach: Reach | None = None
    priorities: bool = False
    #  Those that were made already, by what they offer.
    offers: dict[tuple[bool, tuple[str, ...], bool], Offer] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def blacklist(self) -> Blacklisting:
        return self.porter.blacklist

    @property
    def home(self) -> str:
        """The domain of an address that one of our own people gives without one."""
        domains = self.directory.domains
        return domains[0] if domains else self.hostname

    def offer(self, terms: ListenerTerms, is_encrypted: bool) -> Offer:
        """What EHLO is answered with. AUTH is offered under TLS only."""
        starttls, auth = terms.starttls and not is_encrypted, terms.auth if is_encrypted else ()
        offer = self.offers.get((starttls, auth, is_encrypted))
        if offer is None:
            offer = self.offers[starttls, auth, is_encrypted] = Offer(
                self.hostname,
                self.largest_message,
                starttls=starttls,
                auth=auth,
                requiretls=is_encrypted,
                recipients=self.most_recipients,
                messages=self.most_messages,
            )
        return offer


_ALL = "sessions"
_CLIENT = "client "
_NETWORK = "network "


class Visitors:
    """The sessions that are open, in all, by client address and by its network (policy/crowd.py): those of this
    process, and `all_...` with those of the other workers."""

    def __init__(self) -> None:
        self.sessions = 0
        self.of_client: Counter[str] = Counter()
        self.of_network: Counter[str] = Counter()

    def enter(self, address: str) -> None:
        self.sessions += 1
        self.of_client[address] += 1
        self.of_network[prefix_of(address)] += 1

    def leave(self, address: str) -> None:
        self.sessions -= 1
        self.of_client[address] -= 1
        if self.of_client[address] <= 0:
            del self.of_client[address]
        prefix = prefix_of(address)
        self.of_network[prefix] -= 1
        if self.of_network[prefix] <= 0:
            del self.of_network[prefix]

    def all_sessions(self) -> int:
        return self.sessions

    def all_of_client(self, address: str) -> int:
        return self.of_client[address]

    def all_of_network(self, address: str) -> int:
        return self.of_network[prefix_of(address)]


class SharedVisitors(Visitors):
    """The same over all workers."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def enter(self, address: str) -> None:
        super().enter(address)
        self._tally.add(_ALL)
        self._tally.add(_CLIENT + address)
        self._tally.add(_NETWORK + prefix_of(address))

    def leave(self, address: str) -> None:
        super().leave(address)
        self._tally.add(_ALL, -1)
        self._tally.add(_CLIENT + address, -1)
        self._tally.add(_NETWORK + prefix_of(address), -1)

    def all_sessions(self) -> int:
        return self._tally.total(_ALL)

    def all_of_client(self, address: str) -> int:
        return self._tally.total(_CLIENT + address)

    def all_of_network(self, address: str) -> int:
        return self._tally.total(_NETWORK + prefix_of(address))
