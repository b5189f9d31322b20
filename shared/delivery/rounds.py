"""The rounds of a lane: what is done besides delivering, at its hours.

The lane is scanned (the watch that calls for it is shared/spool/watch.py), heartbeats are given, entries of dead
owners taken back, leftovers swept, and after a reload the routes of all that waits are judged again. Whatever fails
here is an event and is tried again at the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from shared.delivery.attempt import Report
from shared.delivery.errands import Errands
from shared.mail.record import dataclass
from shared.observe import events
from shared.spool.lane import Claim, LaneFolder
from shared.spool.owner import BEAT_EVERY, LOOK_EVERY, Owner

#  Names noticed at one go; between two goes the loop does other things.
NAMES_AT_ONCE = 2000
#  Entries opened at one go when routes are judged again.
CLAIMS_AT_ONCE = 32
#  Routine scans take this part of the time at most, however large the lane.
SHARE_OF_SCANS = 0.02
#  Not while the lane is read for the first time.
FIRST_SWEEP = 60.0
#  When asked to stop, an entry that is being judged again gets this long.
LAST_MOMENT = 5.0
#  A clock that went back further than this was set, and what waits by it must be looked at anew.
JUMP = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, and the seconds between the rounds."""

    in_flight: int = 200
    claims_at_once: int = 64
    adopt: float = LOOK_EVERY
    sweep: float = 3600.0
    beat: float = BEAT_EVERY


class Watching(Protocol):
    """As shared.spool.watch.Watch: tells of names that appear, and calls for a rescan every so often."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


BeginWatch = Callable[[Callable[[str, float], object], Callable[[], object]], Watching]


class Finder(Protocol):
    """Whom the rounds report to: the runner."""

    def arrive(self, name: str, due: float) -> None: ...

    def notice(self, name: str, due: float, is_doubtful: bool = False) -> None: ...

    def forget(self, name: str) -> None: ...

    async def judge_claim(self, claim: Claim) -> bool: ...


class Rounds:
    """Runs from `start` to `stop`; `stop_finding` ends everything but the heartbeat."""

    def __init__(
        self,
        finder: Finder,
        folder: LaneFolder,
        owner: Owner,
        errands: Errands,
        clock: Callable[[], float],
        report: Report,
        limits: Limits,
        watch: BeginWatch | None,
    ) -> None:
        self._finder, self._folder, self._owner, self._errands = finder, folder, owner, errands
        self._clock, self._report, self._limits = clock, report, limits
        self._watch = watch(finder.arrive, self._rescan_if_cheap) if watch else None
        self._beats: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._rechecks = 0
        self._rechecking: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._scan: asyncio.Task[None] | None = None
        self._is_scan_wanted = False
        self._not_before = 0.0
        self._given_back: set[str] = set()
        #  Between the clock of the wall and the loop's, at its highest since the last scan; None before the first.
        self._offset: float | None = None

    async def start(self) -> None:
        await self._safely(self._adopt)
        self._beats = asyncio.create_task(self._every(self._limits.beat, self._beat))
        self._tasks = [
            asyncio.create_task(self._every(self._limits.adopt, self._adopt)),
            asyncio.create_task(self._every(self._limits.sweep, self._sweep, first=FIRST_SWEEP)),
        ]
        if self._watch is not None:
            self._watch.start()
        else:
            self.rescan()

    async def stop_finding(self) -> None:
        self._is_stopping = True
        if self._watch is not None:
            self._watch.stop()
        tasks = [*self._tasks, *([self._scan] if self._scan else [])]
        for task in tasks:
            task.cancel()
        if self._rechecking is not None:
            await asyncio.wait((self._rechecking,), timeout=LAST_MOMENT)
            self._rechecking.cancel()
            tasks.append(self._rechecking)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.gather(self._beats, return_exceptions=True)

    def given_back(self, name: str) -> None:
        """We have just set this name's time ourselves; a scan under way may have read an older one."""
        if self._scan is not None:
            self._given_back.add(name)

    def rescan(self) -> None:
        """Read the lane's names and times anew, in the background; once more if that is already under way."""
        if self._is_stopping:
            return
        self._is_scan_wanted = True
        if self._scan is None:
            self._scan = asyncio.create_task(self._scan_while_wanted())

    def recheck(self) -> None:
        """Judge every waiting entry's route again; asked for again while under way, it starts over."""
        self._rechecks += 1
        if self._rechecking is None or self._rechecking.done():
            self._rechecking = asyncio.create_task(self._recheck())

    def check_clock(self) -> None:
        """Compare the clock of the wall with the loop's: called often, so that a jump there and back between two
        scans is seen, too. What was put off meanwhile waits by a clock that was wrong."""
        if self._offset is None:
            return
        offset = self._clock() - asyncio.get_running_loop().time()
        if offset > self._offset:
            self._offset = offset
        elif offset < self._offset - JUMP:
            self.rescan()

    # Scanning.

    def _rescan_if_cheap(self) -> None:
        if asyncio.get_running_loop().time() >= self._not_before:
            self.rescan()

    async def _scan_while_wanted(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._is_scan_wanted:
                self._is_scan_wanted = False
                began = loop.time()
                await self._safely(self._scan_once)
                self._not_before = loop.time() + (loop.time() - began) / SHARE_OF_SCANS
        finally:
            self._scan = None

    async def _scan_once(self) -> None:
        offset = self._clock() - asyncio.get_running_loop().time()
        went_back = self._offset is not None and offset < self._offset - JUMP
        #  What was written before a start may have been written by a clock that has been put right since.
        is_doubtful, self._offset = went_back or self._offset is None, offset
        self._given_back.clear()
        names = self._folder.scan()
        while part := await self._errands.ask(_some, names):
            for name, due in part:
                if name in self._given_back:
                    continue
                if went_back:
                    self._finder.forget(name)
                self._finder.notice(name, due, is_doubtful)

    # The others.

    async def _beat(self) -> None:
        await self._errands.ask(self._owner.beat)

    async def _adopt(self) -> None:
        if await self._errands.ask(self._folder.adopt):
            self.rescan()

    async def _sweep(self) -> None:
        await self._errands.ask(self._folder.sweep, self._clock())

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], first: float | None = None) -> None:
        await asyncio.sleep(seconds if first is None else first)
        while True:
            await self._safely(work)
            await asyncio.sleep(seconds)

    async def _safely(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OSError as error:
            self._report(events.SPOOL_TROUBLE, lane=self._folder.lane.word, reason=str(error))
        except Exception as error:
            self._report(events.FAULT, where=f"rounds of {self._folder.lane.word}", error=repr(error))

    async def _recheck(self) -> None:
        done = 0
        while done != self._rechecks and not self._is_stopping:
            done = self._rechecks
            await self._safely(self._judge_all)

    async def _judge_all(self) -> None:
        #  The names first, all of them: each is renamed there and back, and would be met again.
        names = await self._errands.ask(_names, self._folder)
        asked = self._rechecks
        for start in range(0, len(names), CLAIMS_AT_ONCE):
            if self._is_stopping or asked != self._rechecks:
                return
            claims = await self._errands.ask(claim_all, self._folder, names[start : start + CLAIMS_AT_ONCE])
            await asyncio.gather(*(self._finder.judge_claim(claim) for claim in claims))


def claim_all(folder: LaneFolder, names: Sequence[str]) -> list[Claim]:
    """In a thread: one trip for many claims. What cannot be claimed is somebody else's, or is met again by a scan."""
    claims = []
    for name in names:
        try:
            claim = folder.claim(name)
        except OSError:
            continue
        if claim is not None:
            claims.append(claim)
    return claims


def _names(folder: LaneFolder) -> list[str]:
    return [name for name, _ in folder.scan()]


def _some(names: Iterator[tuple[str, float]]) -> list[tuple[str, float]]:
    return list(islice(names, NAMES_AT_ONCE))
