"""MercuryE as a daemon: drains the direct lane to the destinations' own servers."""

from __future__ import annotations

from mercury_e.interfaces import own_addresses
from mercury_e.route import EndToEndPlanner
from shared.config.model import Config
from shared.dns.resolver import Resolver
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.sending import SendingDaemon


def direct_daemon(config: Config) -> SendingDaemon:
    """Call with the reactor installed and the loop running. Raises StartTrouble."""
    return SendingDaemon(config, "e", Lane.DIRECT, _planner, _no_secret)


def _planner(config: Config, table: RoutingTable, resolver: Resolver) -> EndToEndPlanner:
    return EndToEndPlanner(
        resolver,
        table,
        port=config.direct.port,
        allowed=config.direct.allow_addresses,
        own_addresses=own_addresses(),
    )


def _no_secret(path: str) -> str:
    """Nobody logs in to a stranger."""
    raise ValueError("MercuryE has no logins")
