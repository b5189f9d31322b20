"""The connections of a carrier: a pool for each next hop, and over all hops a bound on those that have nothing to do.

Not here: what goes over them (pool.py), when a hop is asked (carrier.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

from shared.routing.next_hop import NextHop
from shared.transport.back_off import BackOff
from shared.transport.connection import SmtpConnection
from shared.transport.dial import Dialer, Unreached
from shared.transport.pace import Pace
from shared.transport.pool import HopPool, PoolLimits
from shared.transport.steward import Steward

#  For a server to answer QUIT when we stop.
FAREWELL = 1.0


class HopPools:
    """`book_keeper` hears what hops say of themselves and remembers it; None where hops are strangers, of whom there
    is no end."""

    def __init__(
        self,
        reactor: Any,
        dialer: Dialer,
        limits: PoolLimits,
        back_off: BackOff[NextHop, Unreached],
        book_keeper: Steward | None,
    ) -> None:
        self._reactor = reactor
        self._dialer = dialer
        self._limits = limits
        self._back_off = back_off
        self._book_keeper = book_keeper
        self._paces: dict[NextHop, Pace] = {}
        self._pools: dict[NextHop, HopPool] = {}
        self._latest: HopPool | None = None
        self._idle: dict[SmtpConnection, None] = {}
        self._emptied: asyncio.Future[None] | None = None

    def of(self, hop: NextHop) -> HopPool:
        pool = self._latest
        #  To look a hop up, all that is known of it is hashed; a relay asks for the same one all day.
        if pool is None or pool.hop is not hop:
            pool = self._latest = self._pools.get(hop) or self._make(hop)
        return pool

    def describe(self) -> list[dict[str, str | int]]:
        """The connections to each next hop, as they are now."""
        return [pool.describe() for pool in self._pools.values()]

    async def close(self) -> None:
        """Let go of every connection. Messages still on their way are deferred."""
        self._emptied = asyncio.get_running_loop().create_future()
        for pool in list(self._pools.values()):
            pool.close()
        if self._pools:
            await asyncio.wait([self._emptied], timeout=FAREWELL)

    def _make(self, hop: NextHop) -> HopPool:
        keeper = self._book_keeper
        pool = self._pools[hop] = HopPool(
            self._reactor,
            hop,
            self._dialer,
            self._limits,
            self._back_off,
            self._note_idle,
            self._forget,
            keeper.hear if keeper is not None else None,
            self._pace(hop) if hop.terms.bandwidth else None,
        )
        if keeper is not None:
            pool.note_limits(*keeper.most_recipients(hop))
        return pool

    def _pace(self, hop: NextHop) -> Pace:
        """The same for all connections to it, and for those that come after them."""
        pace = self._paces.get(hop)
        if pace is None:
            pace = self._paces[hop] = Pace(hop.terms.bandwidth, self._reactor)
        return pace

    def _note_idle(self, connection: SmtpConnection) -> None:
        """Connections that have nothing to do are bounded over all hops: MercuryE meets hundreds in a second."""
        self._idle.pop(connection, None)
        self._idle[connection] = None
        if len(self._idle) > self._limits.most_idle:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.quit()

    def _forget(self, pool: HopPool) -> None:
        if self._pools.get(pool.hop) is pool:
            del self._pools[pool.hop]
        if self._latest is pool:
            self._latest = None
        if self._emptied is not None and not self._pools and not self._emptied.done():
            self._emptied.set_result(None)
