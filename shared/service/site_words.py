"""The routing table in force: the configuration, the operator's orders for its sites, and what is known of port 25.

Read from two small files in the spool (shared/state/site_words.py). A running daemon looks once a second whether one
of them is another than before, and at the moment when an order ends; nothing is asked per message. What cannot be
read changes nothing: the words that were in force stay.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.config.model import Config
from shared.config.routing import routing_table
from shared.observe import events
from shared.observe.log import log
from shared.routing.site import SiteWord
from shared.routing.table import RoutingTable
from shared.routing.word import Detour, Order, WordInForce, spoken_word, word_in_force
from shared.state.site_words import ORDERS, PORT_25, UnreadableWords, read_detours, read_orders

LOOK_EVERY = 1.0
SHORTEST_PAUSE = 0.001
_Stamp = tuple[tuple[int, int, int] | None, ...]


def words_in_force(
    config: Config, orders: Mapping[str, Order], detours: Mapping[str, Detour]
) -> dict[str, WordInForce]:
    """For the sites whose word is not simply that of the configuration."""
    words = {}
    for name, site in config.sites.items():
        order = orders.get(name)
        if order is not None or site.delivery is SiteWord.AUTO:
            words[name] = word_in_force(site.delivery, order, detours.get(name))
    return words


def table_in_force(config: Config) -> RoutingTable:
    """For who asks once. What cannot be read counts as not said."""
    try:
        words = words_in_force(config, read_orders(config.spool, time.time()), read_detours(config.spool))
    except (OSError, UnreadableWords):
        words = words_in_force(config, {}, {})
    return routing_table(config, words)


class SiteWords:
    """`table` for each configuration; after `follow`, `changed` is called when it may have become another."""

    def __init__(self, spool: Path, clock: Callable[[], float] = time.time) -> None:
        self._spool = spool
        self._clock = clock
        self._seen: _Stamp = ()
        self._next_end: float | None = None
        self._orders: Mapping[str, Order] = {}
        self._detours: Mapping[str, Detour] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._changed: Callable[[], object] | None = None

    def table(self, config: Config) -> RoutingTable:
        self._read()
        return routing_table(config, words_in_force(config, self._orders, self._detours))

    def spoken(self, config: Config) -> dict[str, SiteWord]:
        """The word of each site as it was last said, by hand or in the configuration; as of the last `table`."""
        return {name: spoken_word(site.delivery, self._orders.get(name)) for name, site in config.sites.items()}

    def follow(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._look_again()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._changed is not None
        try:
            is_ended = self._next_end is not None and self._clock() >= self._next_end
            if is_ended or self._stamps() != self._seen:
                self._changed()
        finally:
            self._look_again()

    def _look_again(self) -> None:
        """The end of an order is known before: all daemons look at that moment, so that none sends back what another
        has let go."""
        pause = LOOK_EVERY
        if self._next_end is not None:
            pause = min(pause, max(self._next_end - self._clock(), SHORTEST_PAUSE))
        self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def _read(self) -> None:
        self._seen = self._stamps()
        try:
            self._orders, self._detours = read_orders(self._spool, self._clock()), read_detours(self._spool)
        except (OSError, UnreadableWords) as error:
            log.event(events.SITE_WORDS_TROUBLE, reason=str(error))
            now = self._clock()
            self._orders = {name: order for name, order in self._orders.items() if not order.is_over(now)}
        self._next_end = min((one.until for one in self._orders.values() if one.until is not None), default=None)

    def _stamps(self) -> _Stamp:
        return tuple(_stamp(f"{self._spool}/{name}") for name in (ORDERS, PORT_25))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
