"""What MercuryC and MercuryE have in common as daemons: one lane, a resolver, SMTP connections, a planner.

They differ in who plans the route and whose passwords are read; their daemon.py brings both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from shared.config.model import Config
from shared.delivery.carrier import RoutePlanner
from shared.dns.resolver import Resolver
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.credentials import Credentials
from shared.service.notice import post_notice
from shared.service.post_office import PostOffice, retry_policy
from shared.service.signing import Signing, signs
from shared.service.status_file import UNUSABLE_KEYS
from shared.service.trouble import StartTrouble
from shared.tls.client import ClientTls, TrustUnusable
from shared.transport.bounds import AttemptBounds
from shared.transport.carrier import SmtpCarrier
from shared.transport.dial import Dialer, TokenSource
from shared.transport.handover import InNameOf, Witness
from shared.transport.steward import Steward

MakePlanner = Callable[[Config, RoutingTable, Resolver], RoutePlanner]
MakeTokens = Callable[[Config, Any, Callable[[str, str], Awaitable[object]]], "Tokens"]

#  Seconds that an attempt begun before a reload may still take on its connections.
_OLD_CONNECTIONS = 600.0


class Tokens(TokenSource, Protocol):
    """The tokens of OAuth accounts, kept fresh from `start` to `close`."""

    def start(self) -> None: ...

    async def use(self, config: Config) -> None:
        """After a reload."""

    async def close(self) -> None: ...


class SendingDaemon:
    """Satisfies shared.service.life.Daemon. `name` is c or e."""

    def __init__(
        self,
        config: Config,
        name: str,
        lane: Lane,
        make_planner: MakePlanner,
        read_secret: Callable[[str], str],
        authorities: Callable[[Config], Path | None] = lambda config: None,
        in_name_of: InNameOf | None = None,
        make_tokens: MakeTokens | None = None,
    ) -> None:
        """`authorities`: the PEM file of those that are believed; None for those of the system."""
        from twisted.internet import reactor

        self._reactor: Any = reactor
        self._config = config
        self._lane = lane
        self._make_planner = make_planner
        self._read_secret = read_secret
        self._authorities = authorities
        self._in_name_of = in_name_of
        self._read_key = Credentials().read_whole
        #  What is counted and known of hops survives a reload; of smarthosts, a restart, too.
        self._steward = Steward(time.time, config.state if lane is Lane.RELAY else None)
        self._office = PostOffice(config, name, asyncio.get_running_loop(), reactor)
        self._resolver = self._make_resolver()
        self._tokens = make_tokens(config, reactor, self._tell_postmaster) if make_tokens else None
        self._signer: Signing | None = None
        self._carrier = self._make_carrier()
        self._retired: set[asyncio.Task[None]] = set()
        self._runner = self._office.drain(config, lane, self._planner(), self._carrier)

    async def start(self) -> None:
        self._office.open()
        self._office.follow_words(self._follow)
        if self._tokens is not None:
            self._tokens.start()
        await self._runner.start()

    async def reload(self, config: Config) -> None:
        """What is being carried goes on as it began; the next attempt uses the new configuration."""
        old = (self._carrier, self._resolver)
        is_other_way = (
            config.dns != self._config.dns
            or config.hostname != self._config.hostname
            or config.direct.tls_reports != self._config.direct.tls_reports
            or self._authorities(config) != self._authorities(self._config)
            or _signing_of(config) != _signing_of(self._config)
        )
        self._config = config
        self._office.use(config)
        if is_other_way:
            self._resolver = self._make_resolver()
            self._carrier = self._make_carrier()
            self._retire(*old)
        self._runner.reload(
            planner=self._planner(),
            carrier=self._carrier,
            retry=retry_policy(config),
            rejudge=self._office.judge.rejudge,
        )
        if self._tokens is not None:
            await self._tokens.use(config)

    def _follow(self) -> None:
        """The word of a site is another; what is queued goes where it belongs now."""
        self._runner.reload(planner=self._planner(), rejudge=self._office.judge.rejudge)

    async def stop(self, grace: float) -> None:
        await self._runner.stop(grace)
        await self._carrier.close()
        if self._tokens is not None:
            await self._tokens.close()
        self._resolver.close()
        for task in self._retired:
            task.cancel()
        self._steward.close()
        self._office.close()

    def is_progressing(self) -> bool:
        return self._office.is_progressing(time.monotonic())

    def status(self) -> str:
        waiting, moving = self._runner.waiting, self._runner.in_flight
        words = "1 message waits" if waiting == 1 else f"{waiting} messages wait"
        unusable = self._signer.unusable if self._signer else ()
        keys = f"; {UNUSABLE_KEYS} {', '.join(unusable)}" if unusable else ""
        return f"{words}, {moving} on {'its' if moving == 1 else 'their'} way{keys}"

    async def _tell_postmaster(self, subject: str, text: str) -> None:
        """Durable when it returns. Raises OSError."""
        await post_notice(self._office, self._config.hostname, subject, text.splitlines(), time.time())

    def sessions(self) -> list[dict[str, Any]]:
        """The messages on their way, then the connections to each next hop."""
        now = time.time()
        flights = [{"id": id, "age": round(now - since, 1)} for id, since in self._runner.flights()]
        return [*flights, *self._carrier.connections()]

    def relent(self) -> None:
        """Satisfies shared.service.controlled.Relenting."""
        self._carrier.relent()

    async def wait_for(self, lane: Lane, name: str, seconds: float) -> bool:
        return lane is not self._lane or await self._runner.wait_for(name, seconds)

    def _planner(self) -> RoutePlanner:
        return self._make_planner(self._config, self._office.judge.table, self._resolver)

    def _say_unreached(self) -> None:
        """A message has just found nobody to go to. Nothing follows from that here."""

    def _witness(self) -> Witness | None:
        """Who is told of every message that is given to a hop."""
        return None

    def _make_resolver(self) -> Resolver:
        dns = self._config.dns
        return Resolver(dns.servers, dns.timeout, is_trusted=dns.trust_ad)

    def _make_tls(self) -> ClientTls:
        try:
            return ClientTls(self._authorities(self._config))
        except TrustUnusable as trouble:
            raise StartTrouble(f"verify certificates: {trouble}", "see `direct.authorities`") from trouble

    def _make_carrier(self) -> SmtpCarrier:
        bounds = AttemptBounds() if self._lane is Lane.DIRECT else None
        dialer = Dialer(
            reactor=self._reactor,
            helo=self._config.hostname,
            resolver=self._resolver,
            tls=self._make_tls(),
            read_secret=self._read_secret,
            tokens=self._tokens,
            spares_dead=bounds is not None,
        )
        return SmtpCarrier(
            dialer,
            bounds=bounds,
            are_smarthosts=self._lane is Lane.RELAY,
            unreached=self._say_unreached,
            witness=self._witness(),
            steward=self._steward,
            in_name_of=self._in_name_of,
            sign=self._signing(),
        )

    def _signing(self) -> Signing | None:
        is_relay = self._lane is Lane.RELAY
        self._signer = (
            Signing(self._config, is_relay, lambda: self._office.judge.table, self._read_key, time.time)
            if signs(self._config, is_relay)
            else None
        )
        return self._signer

    def _retire(self, carrier: SmtpCarrier, resolver: Resolver) -> None:
        """Close what the old configuration used, once nothing travels on it any more."""

        async def close() -> None:
            await asyncio.sleep(_OLD_CONNECTIONS)
            await carrier.close()
            resolver.close()

        task = asyncio.ensure_future(close())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


def _signing_of(config: Config) -> object:
    """All that says which mail is signed, and by whom."""
    return [(name, site.dkim, site.overlay, config.local.domains, config.site) for name, site in config.sites.items()]
