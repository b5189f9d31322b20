"""How mail leaves: retries, name servers, direct delivery (`retry:`, `dns:`, `direct:`)."""

from __future__ import annotations

from shared.config.scalars import Duration, Factor, Network, Port, Server
from shared.config.setting import Setting


class Retry(Setting):
    """Seconds. The first retry after `first`, each later one `factor` times as long after, never more than `longest`.

    A message that is older than `lifetime` goes back (`bounce_lifetime` for what has no sender); `warn_after` is when
    the sender hears that it is late.
    """

    first: Duration = 300.0
    factor: Factor = 2.0
    longest: Duration = 4 * 3600.0
    lifetime: Duration = 5 * 86400.0
    bounce_lifetime: Duration = 86400.0
    warn_after: Duration = 4 * 3600.0


class Dns(Setting):
    """`servers` empty: those of resolv.conf. `timeout`: seconds for one question, all tries together."""

    servers: tuple[Server, ...] = ()
    timeout: Duration = 10.0


class Direct(Setting):
    """`allow_addresses`: networks in private, loopback or reserved space that an MX may point into."""

    port: Port = 25
    allow_addresses: tuple[Network, ...] = ()
