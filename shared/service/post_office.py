"""What every daemon needs of the spool, made once: the tree, ids, the committer, the depositor, an owner, a thread.

The daemons differ in what they plug in: who plans, who carries. `PostOffice.drain` makes the runner of a lane.
Not here: how deliveries are run (shared/delivery), what stands on the disk (shared/spool).
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.config.model import Config
from shared.config.sending import Retry, Sync
from shared.delivery.carrier import Carrier, RoutePlanner
from shared.delivery.detour import hops_of
from shared.delivery.reports import Reports
from shared.delivery.rounds import Limits
from shared.delivery.runner import Runner
from shared.mail.envelope import Envelope, Recipient
from shared.maildir.committer import Committer
from shared.maildir.file_system import CannotSyncWhole, FileSystem
from shared.observe import events
from shared.observe.log import log
from shared.retry.policies import RetryPolicies
from shared.retry.schedule import RetryPolicy
from shared.routing.lane import Lane
from shared.routing.site import SiteWord
from shared.service.judge import Judge, manners
from shared.service.site_words import SiteWords
from shared.service.trouble import StartTrouble
from shared.spool.deposit import Depositor
from shared.spool.ids import QueueIds
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.schedule import Schedule
from shared.spool.spool import Spool, SpoolUnusable
from shared.spool.watch import SCAN_EVERY, LaneWatch

#  A disk that needs longer for one batch or one claim does not come back by waiting.
STUCK = 90.0


def retry_policy(config: Config) -> RetryPolicies:
    """The house's, and those of the sites that have one of their own."""
    return RetryPolicies(
        _policy(config.retry),
        {name: _policy(site.retry.over(config.retry)) for name, site in config.sites.items() if site.retry},
    )


def _policy(retry: Retry) -> RetryPolicy:
    """`longest` alone, when it is below the default of `first`, cuts that too."""
    first = min(retry.first, retry.longest)
    return RetryPolicy(first, retry.factor, retry.longest, retry.lifetime, retry.bounce_lifetime, retry.warn_after)


class PostOffice:
    """`letter` is s, c or e, the daemon's name behind `mercury-`.

    `open` before anything else; `close` last, when nothing is in flight.
    """

    def __init__(self, config: Config, letter: str, loop: asyncio.AbstractEventLoop, reactor: Any) -> None:
        self.daemon = f"mercury-{letter}"
        self._reactor = reactor
        self._config = config
        self._words = SiteWords(config.spool)
        self.judge = Judge(self._words.table(config))
        self._reports: list[Reports] = []
        self._runners: list[Runner] = []
        self.spool = Spool(config.spool, socket.gethostname(), log.event)
        self.executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="spool")
        self.committer = Committer(loop.call_soon_threadsafe, loop.call_soon)
        self.ids = QueueIds(self.spool.root)
        self.depositor = Depositor(self.spool, self.committer, self.ids)
        self.owner = Owner(self.spool, self.daemon)

    def open(self) -> None:
        """Raises StartTrouble when mail cannot be kept where the configuration says."""
        try:
            self.spool.prepare()
            self.owner.begin()
        except SpoolUnusable as trouble:
            what, _, do = str(trouble).partition("; ")
            raise StartTrouble(f"use the {what}", do or "see `spool` in the configuration") from trouble
        if self._config.queue.sync is Sync.SYNCFS:
            self._sync_whole()
        self.committer.start()

    def _sync_whole(self) -> None:
        try:
            file_system = FileSystem(str(self.spool.root))
        except CannotSyncWhole as trouble:
            what, _, do = str(trouble).partition("; ")
            raise StartTrouble(what, do) from trouble
        if not file_system.place.is_alone:
            log.event(
                events.SPOOL_NOT_ALONE,
                spool=str(self.spool.root),
                reason=f"it is {file_system.place.within} of its file system",
            )
        self.committer.file_system = file_system

    def close(self) -> None:
        self._words.stop()
        self.committer.stop()
        self.owner.end()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def is_progressing(self, now: float) -> bool:
        """Whether mail that is to be written gets written and the lanes are looked through: the watchdog's question.

        `now` is a reading of time.monotonic, which is the clock of asyncio's loop.
        """
        longest = max([self.committer.stuck_for(now), *[runner.stuck_for(now) for runner in self._runners]])
        return longest < STUCK

    def use(self, config: Config) -> None:
        """After a reload. Where the spool is, and how it is synced, cannot change while running."""
        self._config = config
        self._use_words()
        for reports in self._reports:
            reports.manners = manners(config)

    def follow_words(self, changed: Callable[[], object]) -> None:
        """From here on, `changed` is called whenever another `judge` stands here because of a site's word."""
        self._words.follow(lambda: changed() if self._use_words() else None)

    def spoken_words(self) -> dict[str, SiteWord]:
        """The word of each site as it was last said, by hand or in the configuration."""
        return self._words.spoken(self._config)

    def _use_words(self) -> bool:
        """Whether the table has become another."""
        table = self._words.table(self._config)
        if table == self.judge.table:
            return False
        for name, site in table.sites.items():
            before = self.judge.table.sites.get(name)
            if before is not None and before.delivery is not site.delivery:
                log.event(events.SITE_WORD_CHANGED, site=name, word=site.delivery.value, reason=site.why)
        self.judge = Judge(table)
        return True

    def drain(
        self,
        config: Config,
        lane: Lane,
        planner: RoutePlanner,
        carrier: Carrier,
        limits: Limits | None = None,
        rejudge: Callable[[Envelope, Sequence[Recipient]], Mapping[Lane, tuple[Recipient, ...]]] | None = None,
    ) -> Runner:
        reports = Reports(
            config.hostname,
            self.depositor,
            lambda envelope: self.judge.letters(envelope),
            self.executor,
            time.time,
            log.event,
            manners(config),
        )
        self._reports.append(reports)
        folder = LaneFolder(self.spool, lane, self.owner)
        runner = Runner(
            lane=lane,
            folder=folder,
            owner=self.owner,
            daemon=self.daemon,
            schedule=Schedule(),
            planner=planner,
            carrier=carrier,
            retry=retry_policy(config),
            rejudge=rejudge or self.judge.rejudge,
            reports=reports,
            depositor=self.depositor,
            executor=self.executor,
            clock=time.time,
            chance=random.random,
            report=log.event,
            find_hops=lambda detour, envelope: hops_of(self.judge.table, detour, envelope),
            limits=limits,
            watch=lambda appeared, rescan: _Watch(LaneWatch(folder, self._reactor), folder.new, appeared, rescan),
        )
        self._runners.append(runner)
        return runner


class _Watch:
    """Names that appear, with their due time; and a call for a rescan every so often, for what no watch sees."""

    def __init__(
        self,
        names: LaneWatch,
        folder: str,
        appeared: Callable[[str, float], object],
        rescan: Callable[[], object],
    ) -> None:
        self._names = names
        self._folder = folder
        self._appeared = appeared
        self._rescan = rescan
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._names.start(self._found)
        self._again()

    def stop(self) -> None:
        self._names.stop()
        if self._timer is not None:
            self._timer.cancel()

    def _again(self) -> None:
        self._rescan()
        self._timer = asyncio.get_running_loop().call_later(SCAN_EVERY, self._again)

    def _found(self, name: str) -> None:
        try:
            due = os.stat(f"{self._folder}/{name}").st_mtime
        except OSError:
            return  # somebody was faster
        self._appeared(name, due)
