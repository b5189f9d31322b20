"""MercuryC as a daemon: drains the relay lane to the smarthosts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from mercury_c.account_name import in_name_of
from mercury_c.smarthost import SmarthostPlanner
from shared.config.model import Config
from shared.dns.resolver import Resolver
from shared.oauth.purse import Purse
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.credentials import Credentials
from shared.service.sending import SendingDaemon


def relaying_daemon(config: Config) -> SendingDaemon:
    """Call with the reactor installed and the loop running. Raises StartTrouble."""
    read_secret = Credentials().read

    def tokens(config: Config, reactor: Any, tell: Callable[[str, str], Awaitable[object]]) -> Purse:
        return Purse(config, reactor, read_secret, time.time, tell)

    return SendingDaemon(config, "c", Lane.RELAY, _planner, read_secret, in_name_of=in_name_of, make_tokens=tokens)


def _planner(config: Config, table: RoutingTable, resolver: Resolver) -> SmarthostPlanner:
    return SmarthostPlanner(table, resolver)
