"""What MercuryS takes from the configuration: the door, and the terms of each listener."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mercury_s.accounts import People
from mercury_s.door import Door, ListenerTerms, Room
from mercury_s.policy.filters import Filters
from mercury_s.policy.identity import Binding, IdentityRules
from mercury_s.policy.patience import Patience
from mercury_s.porter import Porter
from mercury_s.reach import Reach
from mercury_s.throttle import Throttle
from shared.config.limits import Limits as SessionLimits
from shared.config.listeners import Listener, ListenerKind, ListenerTls
from shared.config.logins import Mechanism
from shared.config.model import Config
from shared.config.submission import SubmissionSettings
from shared.routing.table import RoutingTable
from shared.smtp.server import Limits
from shared.spool.deposit import Depositor
from shared.tls.server import Demand


@dataclass(slots=True)
class FreeSpace:
    """The room on the spool's file system, asked for at most once a second."""

    room: Room
    _free: int = 0
    _until: float = 0.0

    def free_bytes(self) -> int:
        now = time.monotonic()
        if now >= self._until:
            self._until = now + 1.0
            try:
                self._free = self.room.free_bytes()
            except OSError:
                self._free = 0  #  a spool that cannot be asked can take nothing
        return self._free


def make_patience(limits: SessionLimits) -> Patience:
    return Patience(limits.idle, limits.data, float(limits.data_rate), limits.handshake, limits.stress_idle)


def make_door(
    config: Config,
    table: RoutingTable,
    people: People,
    depositor: Depositor,
    room: Room,
    porter: Porter,
    throttle: Throttle,
) -> Door:
    limits = config.receive.limits
    return Door(
        hostname=config.hostname,
        table=table,
        directory=people.directory,
        reception=people.reception,
        depositor=depositor,
        room=room,
        authenticator=people.authenticator,
        rules=config.receive.rules,
        limits=Limits(errors=limits.errors, commands=limits.commands),
        largest_message=config.receive.max_message_size,
        most_recipients=limits.recipients,
        most_sessions=limits.sessions,
        most_sessions_of_client=limits.sessions_per_client,
        clock=time.time,
        filters=Filters(config.receive.filters) if config.receive.filters else None,
        keeps_subjects=config.history.subjects,
        identities=_identity_rules(config.receive.submission),
        porter=porter,
        throttle=None if throttle.is_idle else throttle,
        patience=make_patience(limits),
        most_sessions_of_network=limits.sessions_per_network,
        most_messages=limits.messages or 0,
        most_unknown=limits.unknown_recipients,
        most_relay_attempts=limits.relay_attempts,
        most_failed_logins=limits.failed_logins,
        priorities=config.receive.priorities,
        reach=Reach(config.state, table, time.time, time.monotonic),
    )


def _identity_rules(settings: SubmissionSettings) -> IdentityRules:
    granted: dict[str, frozenset[str]] = {}
    for right in settings.senders:
        granted[right.login] = granted.get(right.login, frozenset()) | frozenset(right.addresses)
    return IdentityRules(Binding(settings.sender), Binding(settings.header_from), granted)


def listener_terms(listener: Listener, has_certificate: bool, mechanisms: Sequence[Mechanism]) -> ListenerTerms:
    """`mechanisms`: the ways to log in that can be checked at all."""
    return ListenerTerms(
        is_submission=listener.kind is ListenerKind.SUBMISSION,
        networks=listener.networks,
        relay=listener.relay,
        auth=_ways_to_log_in(listener, mechanisms),
        starttls=has_certificate and listener.tls is ListenerTls.STARTTLS,
        implicit_tls=listener.tls is ListenerTls.IMPLICIT,
        xclient=listener.xclient,
    )


def tls_demand(listener: Listener) -> Demand:
    return Demand(str(listener.tls_floor), listener.client_ca)


def _ways_to_log_in(listener: Listener, mechanisms: Sequence[Mechanism]) -> tuple[str, ...]:
    #  PLUS only where it is named: Debian's mutt picks it whenever it is offered, and then cannot do it.
    usual = frozenset(Mechanism) - {Mechanism.SCRAM_PLUS}
    chosen = usual if listener.auth is True else listener.auth or ()
    return tuple(
        str(mechanism)
        for mechanism in mechanisms
        if mechanism in chosen and (mechanism is not Mechanism.EXTERNAL or listener.client_ca is not None)
    )
