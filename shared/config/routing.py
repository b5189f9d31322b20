"""The configuration's sites and routes as the routing table that decisions are made by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo

from shared.config.budget import BudgetSettings
from shared.config.model import Config
from shared.config.scalars import is_ip
from shared.config.sites import IMPLICIT_TLS_PORT, SUBMISSION_PORT, Hop, RouteSettings, SiteSettings, Smarthost, Via
from shared.mail.address import Address, AddressError, parse_address
from shared.routing.budget import NO_BUDGET, Budget, Limit, Unit
from shared.routing.next_hop import NO_MORE_TRUST, NextHop, Tls, Trust
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable
from shared.routing.terms import NO_TERMS, Terms
from shared.routing.word import WordInForce, word_in_force


def routing_table(config: Config, words: Mapping[str, WordInForce] | None = None) -> RoutingTable:
    """`words` are those in force for sites whose word is not simply that of the configuration."""
    words = words or {}
    return RoutingTable(
        hostname=config.hostname,
        local_domains=frozenset(config.local.domains),
        sites=_sites(config, words),
        here=config.site,
        rules=(*(_rule(route, _zone(config.sites.get(config.site))) for route in config.routes), *_overlay(config)),
    )


def next_hop(hop: Hop, tls: Tls | None = None, priority: int = 0, terms: Terms = NO_TERMS) -> NextHop:
    """The hop as it is dialled; `tls` takes the place of its own demand."""
    return NextHop(
        host=hop.host,
        port=hop.port or (IMPLICIT_TLS_PORT if hop.implicit else SUBMISSION_PORT),
        tls=tls or hop.tls,
        implicit_tls=hop.implicit,
        login=hop.login,
        password_file=str(hop.password_file or ""),
        login_in_clear=hop.in_clear,
        priority=priority,
        weight=hop.weight if isinstance(hop, Smarthost) else 1,
        discover=hop.port is None and not is_ip(hop.host),
        source=hop.source_address or (),
        helo=hop.helo or "",
        trust=_trust(hop),
        lmtp=isinstance(hop, Via) and hop.lmtp,
        terms=terms,
        inside_only=(tls or hop.tls) is Tls.OFF and not hop.in_clear,
        oauth=hop.oauth,
        denied=frozenset(str(name) for name in hop.deny_auth),
    )


def _trust(hop: Hop) -> Trust:
    authorities, certificate, key = (str(path or "") for path in (hop.authorities, hop.certificate, hop.key))
    trust = Trust(hop.pins, authorities, certificate, key)
    return NO_MORE_TRUST if trust == NO_MORE_TRUST else trust


def _terms(hop: Hop, zone: tzinfo | None, is_rewritten: bool = False) -> Terms:
    terms = Terms(
        _budget(hop.budget) if hop.budget else NO_BUDGET,
        hop.max_recipients or 0,
        hop.window or (),
        zone if hop.window else None,
        hop.bandwidth or 0,
        account_address(hop) if is_rewritten and isinstance(hop, Smarthost) else None,
    )
    return NO_TERMS if terms == NO_TERMS else terms


def account_address(smarthost: Smarthost) -> Address | None:
    """In whose name mail goes there when senders are rewritten; None when nothing tells."""
    if smarthost.address is not None:
        return smarthost.address
    try:
        login = parse_address(smarthost.login)
    except AddressError:
        return None
    return login if login.is_ascii else None


def domains_of(config: Config, site: str) -> tuple[str, ...]:
    """Those whose people write from the site: its own where it has some, else all of this host."""
    overlay = config.sites[site].overlay
    return overlay.domains if overlay else config.local.domains


def _budget(settings: BudgetSettings) -> Budget:
    limits = [Limit(Unit.MESSAGES, rate.count, rate.seconds) for rate in settings.messages]
    limits += [Limit(Unit.RECIPIENTS, rate.count, rate.seconds) for rate in settings.recipients]
    return Budget(tuple(limits), settings.reserve, settings.over)


def _zone(site: SiteSettings | None) -> tzinfo | None:
    return site.time_zone if site is not None else None


def _sites(config: Config, words: Mapping[str, WordInForce]) -> dict[str, Site]:
    """Mail of a site that relays by this very host goes the way of this host: it has arrived where it was sent to."""
    sites = {name: _site(name, site, words.get(name)) for name, site in config.sites.items()}
    here, overlay = sites.get(config.site), config.sites[config.site].overlay if config.site in config.sites else None
    for name, site in sites.items():
        if here is None or overlay is None or site is here or site.delivery is not Delivery.RELAY:
            continue
        if any(hop.host == overlay.host for hop in site.smarthosts):
            why = f"it relays by this host, of site {here.name}{f': {here.why}' if here.why else ''}"
            sites[name] = Site(name, site.networks, here.delivery, here.smarthosts, why)
    return sites


def _site(name: str, site: SiteSettings, word: WordInForce | None) -> Site:
    """Smarthosts without a priority have that of their place, counted from 1."""
    hops = [
        next_hop(
            smarthost,
            priority=smarthost.priority or place,
            terms=_terms(smarthost, site.time_zone, site.rewrite_sender),
        )
        for place, smarthost in enumerate(site.smarthosts, start=1)
    ]
    word = word or word_in_force(site.delivery, None, None)
    return Site(name, site.networks, word.delivery, tuple(sorted(hops, key=lambda hop: hop.priority)), word.why)


def _rule(route: RouteSettings, zone: tzinfo | None) -> RouteRule:
    via = next_hop(route.via, route.tls, terms=_terms(route.via, zone)) if route.via else None
    return RouteRule(route.to, route.deliver, via, None if via else route.tls, route.pins, route.source)


def _overlay(config: Config) -> Iterator[RouteRule]:
    """Behind the exceptions that were written: the other sites, each directly."""
    for name, site in config.sites.items():
        if (there := site.overlay) is not None and name != config.site:
            via = NextHop(
                host=there.host,
                port=there.port,
                tls=Tls.PIN,
                implicit_tls=there.port == IMPLICIT_TLS_PORT,
                trust=Trust(there.pins),
            )
            yield RouteRule(there.domains, via=via, source=there.source, site=name)
