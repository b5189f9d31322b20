"""MercuryC as a daemon: drains the relay lane to the smarthosts."""

from __future__ import annotations

from mercury_c.account_name import in_name_of
from mercury_c.credentials import Credentials
from mercury_c.smarthost import SmarthostPlanner
from shared.config.model import Config
from shared.dns.resolver import Resolver
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.sending import SendingDaemon


def relaying_daemon(config: Config) -> SendingDaemon:
    """Call with the reactor installed and the loop running. Raises StartTrouble."""
    return SendingDaemon(config, "c", Lane.RELAY, _planner, Credentials().read, in_name_of=in_name_of)


def _planner(config: Config, table: RoutingTable, resolver: Resolver) -> SmarthostPlanner:
    return SmarthostPlanner(table, resolver)
