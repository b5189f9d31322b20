"""MercuryE as a daemon: drains the direct lane to the destinations' own servers, and watches port 25 for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from mercury_e.breaker import Rules
from mercury_e.demand import Demand, Finding
from mercury_e.interfaces import own_addresses
from mercury_e.lookout import Lookout, Rounds
from mercury_e.manners import Manner
from mercury_e.mta_sts import PolicyError
from mercury_e.policies import Policies
from mercury_e.policy_page import PageUnusable, PolicyPages
from mercury_e.reach import Reach
from mercury_e.report_desk import ReportDesk
from mercury_e.report_post import ReportPost
from mercury_e.route import EndToEndPlanner
from shared.config.model import Config
from shared.config.sending import Destination
from shared.dns.resolver import Resolver
from shared.observe.log import log
from shared.routing.budget import Budget, Limit, Over, Unit
from shared.routing.lane import Lane
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop
from shared.routing.site import SiteWord
from shared.routing.table import RoutingTable
from shared.routing.terms import NO_TERMS, Terms
from shared.service.notice import post_notice
from shared.service.sending import SendingDaemon
from shared.smtp.client_events import Finished
from shared.transport.dial import Unreached
from shared.transport.handover import Witness
from shared.vantage.knock import Knock
from shared.vantage.probe import Probe


def direct_daemon(config: Config) -> DirectDaemon:
    """Call with the reactor installed and the loop running. Raises StartTrouble."""
    return DirectDaemon(config)


class DirectDaemon(SendingDaemon):
    """Beside its lane it has the lookout for sites on `auto` (lookout.py)."""

    def __init__(self, config: Config) -> None:
        self._lookout: Lookout | None = None
        self._policies: tuple[object, Policies] | None = None
        self._desk: tuple[ReportDesk, asyncio.Task[None]] | None = None
        super().__init__(config, "e", Lane.DIRECT, self._end_to_end, _no_secret, _authorities)
        office = self._office
        self._lookout = Lookout(
            office.spool.root,
            office.spool.node,
            _rounds(config),
            self._probe(),
            self._on_auto,
            self._notify,
            time.time,
            log.event,
        )

    async def start(self) -> None:
        await super().start()
        self._open_desk()
        if self._lookout is not None:
            self._lookout.begin()

    async def reload(self, config: Config) -> None:
        await super().reload(config)
        self._open_desk()
        if self._lookout is not None:
            self._lookout.rounds, self._lookout.prober = _rounds(config), self._probe()
            self._lookout.suspect()

    async def stop(self, grace: float) -> None:
        if self._lookout is not None:
            await self._lookout.stop()
        self._close_desk()
        await super().stop(grace)
        if self._policies is not None:
            self._policies[1].close()

    def _follow(self) -> None:
        super()._follow()
        self._say_unreached()

    def _say_unreached(self) -> None:
        if self._lookout is not None:
            self._lookout.suspect()

    def _end_to_end(self, config: Config, table: RoutingTable, resolver: Resolver) -> EndToEndPlanner:
        direct, own = config.direct, own_addresses(config.preflight.addresses)
        return EndToEndPlanner(
            resolver,
            table,
            port=direct.port,
            allowed=direct.allow_addresses,
            own_addresses=own,
            dane=direct.dane,
            manners=[_manner(said) for said in direct.destinations],
            policies=self._policies_by(config, resolver, Reach(own, direct.allow_addresses)),
            left_out=self._note_left_out if direct.tls_reports else None,
        )

    def _policies_by(self, config: Config, resolver: Resolver, reach: Reach) -> Policies | None:
        """Kept while nothing of what they are fetched by has changed."""
        if not config.direct.mta_sts:
            if self._policies is not None:
                self._policies[1].close()
                self._policies = None
            return None
        mark = (resolver, config.direct)
        if self._policies is None or self._policies[0] != mark:
            if self._policies is not None:
                self._policies[1].close()
            pages = PolicyPages(self._reactor, self._make_tls(), config.direct.mta_sts_port)
            policies = Policies(config.state, resolver, pages.fetch, reach.order_foreign, time.time, self._note_fetch)
            self._policies = (mark, policies)
            policies.begin()
        return self._policies[1]

    def _witness(self) -> Witness | None:
        return self._note_tls if self._config.direct.tls_reports else None

    def _note_tls(self, leg: Leg, hop: NextHop, result: Finished | Unreached) -> None:
        if self._desk is not None:
            self._desk[0].note(leg, hop, result)

    def _note_left_out(self, domain: str, host: str, demand: Demand, finding: Finding, words: str) -> None:
        if self._desk is not None:
            self._desk[0].note_left_out(domain, host, demand, finding, words)

    def _note_fetch(self, domain: str, error: PageUnusable | PolicyError) -> None:
        if self._desk is not None:
            self._desk[0].note_fetch(domain, error)

    def _open_desk(self) -> None:
        """TLS reports, if they are on; what the desk before it has counted is on disk."""
        self._close_desk()
        config = self._config
        if not config.direct.tls_reports:
            return
        contact = f"postmaster@{(config.local.domains or (config.hostname,))[0]}"
        order = Reach(own_addresses(config.preflight.addresses), config.direct.allow_addresses).order_foreign
        pages = PolicyPages(self._reactor, self._make_tls())
        post = ReportPost(self._office, contact, self._resolver, pages, order)
        known = self._policies[1].known if self._policies is not None else lambda domain: None
        desk = ReportDesk(config.state, self._resolver, known, post, config.hostname, contact, time.time)
        self._desk = (desk, asyncio.ensure_future(desk.keep()))

    def _close_desk(self) -> None:
        if self._desk is not None:
            desk, keeping = self._desk
            keeping.cancel()
            desk.save()
            self._desk = None

    def _probe(self) -> Probe:
        return Probe(self._resolver, self._config.direct.port, self._config.auto.timeout)

    def _on_auto(self) -> dict[str, Sequence[NextHop]]:
        """The sites on auto, by hand or by configuration, with those who would relay for them."""
        table = self._office.judge.table
        here = table.sites.get(table.here)
        substitutes = here.smarthosts if here else ()
        spoken = self._office.spoken_words()
        return {
            name: site.smarthosts or substitutes
            for name, site in table.sites.items()
            if spoken.get(name) is SiteWord.AUTO
        }

    async def _notify(self, site: str, knocks: tuple[Knock, ...]) -> None:
        hostname = self._config.hostname
        subject = f"Port 25 is blocked: site {site} relays"
        await post_notice(self._office, hostname, subject, blocked_notice(site, hostname, knocks), time.time())


def blocked_notice(site: str, hostname: str, knocks: Sequence[Knock]) -> list[str]:
    """What the postmaster reads."""
    return [
        f"No mail host can be reached on port 25 from {hostname} any more, but the",
        f"smarthost of site {site} can. Its mail now goes by the smarthost, also what was",
        "queued. Nothing is lost, and there is nothing you must do: when port 25 has been",
        "open for a while, mail is delivered directly again.",
        "",
        "What was tried:",
        *(f"  {knock.host}: {knock.finding}" + (f" ({knock.detail})" if knock.detail else "") for knock in knocks),
        "",
        "Most often the Internet provider blocks the port; ask there.",
        f"How it stands:          mercury site show {site}",
        f"To stay on the relay:   mercury site set {site} relay",
    ]


def _manner(said: Destination) -> Manner:
    limits = (Limit(Unit.MESSAGES, said.rate.count, said.rate.seconds),) if said.rate else ()
    is_plain = not limits and said.recipients is None
    terms = NO_TERMS if is_plain else Terms(Budget(limits, over=Over.WAIT), said.recipients or 0)
    return Manner(said.hosts, said.connections or 0, terms)


def _rounds(config: Config) -> Rounds:
    auto = config.auto
    return Rounds(auto.hosts, auto.every, auto.again, Rules(auto.bad_rounds, auto.good_rounds, auto.stay))


def _authorities(config: Config) -> Path | None:
    return config.direct.authorities


def _no_secret(path: str) -> str:
    """Nobody logs in to a stranger."""
    raise ValueError("MercuryE has no logins")
