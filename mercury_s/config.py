"""What MercuryS takes from the configuration: the door, and the terms of each listener."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mercury_s.accounts import People
from mercury_s.door import Door, ListenerTerms, Room
from mercury_s.login import OFFERED
from shared.config.listeners import Listener, ListenerKind, ListenerTls
from shared.config.model import Config
from shared.routing.table import RoutingTable
from shared.smtp.server import Limits
from shared.spool.deposit import Depositor


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


def make_door(config: Config, table: RoutingTable, people: People, depositor: Depositor, room: Room) -> Door:
    limits = config.receive.limits
    return Door(
        hostname=config.hostname,
        table=table,
        directory=people.directory,
        depositor=depositor,
        room=room,
        authenticator=people.authenticator,
        rules=config.receive.rules,
        limits=Limits(errors=limits.errors),
        largest_message=config.receive.max_message_size,
        most_recipients=limits.recipients,
        most_sessions=limits.sessions,
        most_sessions_of_client=limits.sessions_per_client,
        idle_seconds=limits.idle,
        clock=time.time,
    )


def listener_terms(listener: Listener, has_certificate: bool, can_log_in: bool) -> ListenerTerms:
    return ListenerTerms(
        is_submission=listener.kind is ListenerKind.SUBMISSION,
        networks=listener.networks,
        relay=listener.relay,
        auth=OFFERED if listener.auth and can_log_in else (),
        starttls=has_certificate and listener.tls is ListenerTls.STARTTLS,
        implicit_tls=listener.tls is ListenerTls.IMPLICIT,
    )
