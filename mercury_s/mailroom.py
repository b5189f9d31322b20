"""What local delivery is made of, as the configuration has it: Maildirs or a mailbox server, quotas, lists, SRS.

Made anew at each reload but for the connections to the mailbox server. Not here: the tables of people (accounts.py),
what happens to a message (mercury_s/local).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from mercury_s.accounts import People
from mercury_s.local.carrier import Extras, LocalCarrier
from mercury_s.local.lmtp import LmtpDrop, lmtp_hop
from mercury_s.local.mailbox import MessageNames
from mercury_s.local.maildrop import Maildrop
from mercury_s.local.quota import Quotas
from mercury_s.local.redeposit import Redeposit
from shared.config.model import Config
from shared.mail.envelope import Envelope
from shared.routing.decide import is_from_inside
from shared.service.late import assure_same_program
from shared.service.post_office import PostOffice

if TYPE_CHECKING:
    from shared.dns.resolver import Resolver
    from shared.transport.carrier import SmtpCarrier

#  Seconds that deliveries begun before a reload may still take on their connections.
_OLD_CONNECTIONS = 600.0


class Mailroom:
    """`carrier` for each configuration, `close` at the end."""

    def __init__(self, office: PostOffice, reactor: Any) -> None:
        self._office = office
        self._reactor = reactor
        self._server: tuple[Config, SmtpCarrier, Resolver] | None = None
        self._retired: set[asyncio.Task[None]] = set()

    def carrier(self, config: Config, people: People) -> LocalCarrier:
        office = self._office
        names = MessageNames(socket.gethostname(), os.getpid(), time.time)
        return LocalCarrier(
            people.directory,
            people.folders,
            Maildrop(office.committer, names, office.executor),
            Redeposit(office.depositor, lambda envelope: office.judge.letters(envelope), office.executor),
            office.executor,
            Extras(self._lmtp(config), self._quotas(config, people), people.srs, self._is_inside),
        )

    async def close(self) -> None:
        for task in self._retired:
            task.cancel()
        if self._server is not None:
            await _close(self._server)

    def _quotas(self, config: Config, people: People) -> Quotas | None:
        if people.quotas is None:
            return None
        return Quotas(config.local.quota.default, config.local.quota.over, time.time, self._office.executor)

    def _is_inside(self, envelope: Envelope) -> bool:
        return is_from_inside(self._office.judge.table, envelope)

    def _lmtp(self, config: Config) -> LmtpDrop | None:
        old = self._server
        if old is not None and (_reached_by(old[0]) != _reached_by(config)):
            self._retire(old)
            self._server = None
        if not config.local.lmtp:
            return None
        if self._server is None:
            self._server = self._connect(config)
        return LmtpDrop(self._server[1], lmtp_hop(config.local.lmtp), config.local.quota.over)

    def prepare(self, config: Config) -> None:
        """Before anything of `config` is in force. Raises StartTrouble when this daemon cannot do what it asks."""
        if config.local.lmtp and self._server is None:
            assure_same_program("local.lmtp")

    def _connect(self, config: Config) -> tuple[Config, SmtpCarrier, Resolver]:
        #  An SMTP client with its resolver: a tenth of this daemon's memory, and few have a mailbox server.
        from shared.dns.resolver import Resolver
        from shared.tls.client import ClientTls
        from shared.transport.carrier import SmtpCarrier
        from shared.transport.dial import Dialer
        from shared.transport.pool import PoolLimits

        resolver = Resolver(config.dns.servers, config.dns.timeout)
        dialer = Dialer(
            reactor=self._reactor,
            helo=config.hostname,
            resolver=resolver,
            tls=ClientTls(),
            read_secret=_no_secret,
        )
        #  It is on the same host or beside it: connections are kept while there is mail.
        return config, SmtpCarrier(dialer, limits=PoolLimits(first=4, most=16, idle_time=60.0)), resolver

    def _retire(self, server: tuple[Config, SmtpCarrier, Resolver]) -> None:
        """Close what the old configuration used, once nothing travels on it any more."""

        async def close() -> None:
            await asyncio.sleep(_OLD_CONNECTIONS)
            await _close(server)

        task = asyncio.ensure_future(close())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


def _reached_by(config: Config) -> tuple[object, ...]:
    return config.local.lmtp, config.dns, config.hostname


def _no_secret(path: str) -> str:
    raise ValueError("a mailbox server is not logged in to")


async def _close(server: tuple[Config, SmtpCarrier, Resolver]) -> None:
    await server[1].close()
    server[2].close()
