"""What is kept of a daemon besides its work, around any daemon: the history, and the metrics.

It starts when the daemon has started and ends when it has stopped; whatever goes wrong with it is an event, and the
daemon goes on. Not here: what is kept (shared/history), what is counted (shared/observe).
"""

from __future__ import annotations

import asyncio
import socket

from shared.config.model import Config
from shared.history.keeper import Keeper, Terms
from shared.observe.log import log
from shared.service.exporter import Counter, Exporter
from shared.service.life import Daemon, Progressing
from shared.service.queue_gauges import QueueGauges
from shared.spool.spool import Spool

#  Whose records each daemon files besides its own: those of the commands, which are no daemons.
_ALSO = {"mercury-s": ("mercury", "mercury-sendmail")}


def terms_of(config: Config) -> Terms:
    return Terms(config.history.keep, config.history.size)


class Observed:
    """Satisfies shared.service.life.Daemon, as the daemon in it does."""

    def __init__(self, name: str, daemon: Daemon, config: Config, worker: int = 0) -> None:
        """A worker counts; all else is done by the daemon it belongs to."""
        self._name = name
        self._daemon = daemon
        self._config = config
        self._worker = worker
        self._keeper: Keeper | None = None
        self._counter: Counter | None = None
        self._exporter: Exporter | None = None

    async def start(self) -> None:
        self._begin_counting(self._config)
        await self._daemon.start()
        self._use(self._config)

    async def reload(self, config: Config) -> None:
        await self._daemon.reload(config)
        self._use(config)

    async def stop(self, grace: float) -> None:
        await self._daemon.stop(grace)
        await self._close()

    def status(self) -> str:
        return self._daemon.status()

    def is_progressing(self) -> bool:
        return not isinstance(self._daemon, Progressing) or self._daemon.is_progressing()

    def _begin_counting(self, config: Config) -> None:
        if not config.metrics.listen:
            return
        folder = config.run / "metrics"
        self._counter = Counter(folder, self._name, self._worker, log)
        self._counter.start()
        if not self._worker:
            gauges = QueueGauges(Spool(config.spool, socket.gethostname()))
            self._exporter = Exporter(folder, config.metrics.address, gauges, self._counter.write, log)
            self._exporter.start()

    def _use(self, config: Config) -> None:
        self._config = config
        if self._worker:
            return
        if self._keeper is not None and config.history.enabled:
            self._keeper.terms = terms_of(config)
        elif config.history.enabled:
            records = (self._name, *_ALSO.get(self._name, ()))
            self._keeper = Keeper(
                config.state / "events", config.state / "history", records, terms_of(config), log.event
            )
            self._keeper.start()
        elif self._keeper is not None:
            self._keeper.end()
            self._keeper = None

    async def _close(self) -> None:
        if self._exporter is not None:
            await self._exporter.stop()
        if self._counter is not None:
            self._counter.stop()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            log.flush()
            await asyncio.get_running_loop().run_in_executor(None, keeper.stop)
