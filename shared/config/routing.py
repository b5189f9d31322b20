"""The configuration's sites and routes as the routing table that decisions are made by."""

from __future__ import annotations

from shared.config.model import Config
from shared.config.sites import Hop, RouteSettings, SiteSettings
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Site
from shared.routing.table import RouteRule, RoutingTable


def routing_table(config: Config) -> RoutingTable:
    return RoutingTable(
        hostname=config.hostname,
        local_domains=frozenset(config.local.domains),
        sites={name: _site(name, site) for name, site in config.sites.items()},
        here=config.site,
        rules=tuple(_rule(route) for route in config.routes),
    )


def next_hop(hop: Hop, tls: Tls | None = None) -> NextHop:
    """The hop as it is dialled; `tls` takes the place of its own demand."""
    return NextHop(
        host=hop.host,
        port=hop.port,
        tls=tls or hop.tls,
        implicit_tls=hop.implicit,
        login=hop.login,
        password_file=str(hop.password_file or ""),
    )


def _site(name: str, site: SiteSettings) -> Site:
    return Site(name, site.networks, site.delivery, tuple(next_hop(smarthost) for smarthost in site.smarthosts))


def _rule(route: RouteSettings) -> RouteRule:
    via = next_hop(route.via, route.tls) if route.via else None
    return RouteRule(route.to, route.deliver, via, None if via else route.tls, route.source)
