"""The runner of one lane: claims what is due, has it carried, settles it. The same in MercuryS, C and E.

Here: the loop, what is in flight, starting, reloading and stopping. Who is next is in waiting.py, where there is room
in destinations.py, what becomes of an entry in course.py, the round of beats, rescans and sweeps in rounds.py. Time,
chance, threads and the carrier come in as arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from shared.delivery.attempt import Crew, Rejudge, Report
from shared.delivery.carrier import Carrier, RoutePlanner
from shared.delivery.course import Course
from shared.delivery.destinations import Destinations
from shared.delivery.detour import FindHops, no_hops
from shared.delivery.errands import Errands
from shared.delivery.job import Job
from shared.delivery.reports import Reports
from shared.delivery.rounds import BeginWatch, Limits, Rounds, claim_all
from shared.delivery.settle import Desk
from shared.delivery.sorting import Sorter
from shared.delivery.waiting import Waiting
from shared.observe import events
from shared.retry.policies import RetryPolicies
from shared.routing.lane import Lane
from shared.spool.claim import Claim
from shared.spool.deposit import Depositor
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.schedule import Schedule

#  The loop looks at the clock at least this often, should the clock jump.
LONGEST_REST = 30.0
#  When the grace of a stop is over, what is already being settled gets this long.
LAST_MOMENT = 5.0


class Runner:
    """`start` and `stop` once each; everything is called in the loop's thread."""

    def __init__(
        self,
        *,
        lane: Lane,
        folder: LaneFolder,
        owner: Owner,
        daemon: str,
        schedule: Schedule,
        planner: RoutePlanner,
        carrier: Carrier,
        retry: RetryPolicies,
        rejudge: Rejudge,
        reports: Reports,
        depositor: Depositor,
        executor: Executor,
        clock: Callable[[], float],
        chance: Callable[[], float],
        report: Report,
        find_hops: FindHops = no_hops,
        limits: Limits | None = None,
        watch: BeginWatch | None = None,
    ) -> None:
        limits = limits or Limits()
        self._lane, self._folder, self._limits = lane, folder, limits
        self._clock, self._report = clock, report
        self._wake = asyncio.Event()
        #  Smarthosts and mailboxes are ours; only strangers are to be felt out.
        self._destinations = Destinations(limits.in_flight, lane is Lane.DIRECT, self._wake.set)
        self._errands = Errands(executor)
        self._waiting = Waiting(schedule)
        crew = Crew(planner, carrier, retry, rejudge, self._destinations, report, find_hops)
        desk = Desk(daemon, folder, self._errands, Errands(executor), reports, clock, report)
        self._course = Course(crew, lane, desk, Sorter(desk, depositor, executor, lane), self, chance)
        self._rounds = Rounds(self, folder, owner, Errands(executor), clock, report, limits, watch)
        self._latest, self._planned = retry.latest_due(0.0), retry.latest_planned(0.0)
        self._jobs: set[Job] = set()
        #  Entries called back because there is room for them, until they are claimed.
        self._called: dict[str, str] = {}
        self._is_stopping = False
        self._passed = 0.0
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        return len(self._jobs)

    @property
    def waiting(self) -> int:
        """Entries that wait in the lane, as far as we know."""
        return len(self._waiting)

    def stuck_for(self, now: float) -> float:
        """Seconds since the loop last came round, beyond its longest rest; `now` is a reading of the loop's clock."""
        return max(0.0, now - self._passed - LONGEST_REST) if self._loop_task is not None else 0.0

    async def start(self) -> None:
        """Take back what dead owners left, then drain the lane until `stop`."""
        await self._rounds.start()
        self._passed = asyncio.get_running_loop().time()
        self._loop_task = asyncio.create_task(self._drain())

    def reload(
        self,
        *,
        planner: RoutePlanner | None = None,
        carrier: Carrier | None = None,
        retry: RetryPolicies | None = None,
        rejudge: Rejudge | None = None,
    ) -> None:
        """From the next attempt on these are asked. What waits is judged again in the background, and moved, unless
        `rejudge` is the one it was judged by."""
        old = self._course.crew
        self._course.crew = replace(
            old,
            planner=planner or old.planner,
            carrier=carrier or old.carrier,
            retry=retry or old.retry,
            rejudge=rejudge or old.rejudge,
        )
        retry = self._course.crew.retry
        self._latest, self._planned = retry.latest_due(0.0), retry.latest_planned(0.0)
        if rejudge is None or rejudge != old.rejudge:
            self._rounds.recheck()

    async def stop(self, grace: float) -> None:
        """Claim nothing more; let what is in flight end for `grace` seconds; put the rest back, due at once."""
        self._is_stopping = True
        self._wake.set()
        await self._rounds.stop_finding()
        if self._loop_task is not None:
            await self._loop_task
        await self._all_end(grace)
        if self._jobs:
            self._report(events.STOP_CUT_SHORT, lane=self._lane.word, entries=len(self._jobs))
        for job in self._jobs:
            if not job.is_settling and job.task is not None:
                job.task.cancel()
        await self._all_end(LAST_MOMENT)
        for job in self._jobs:
            #  The disk does not let us. It stays claimed, and is taken back by whoever sees that we are gone.
            if job.task is not None:
                job.task.cancel()
        await self._all_end(LAST_MOMENT)
        await self._rounds.stop()

    async def _all_end(self, seconds: float, name: str = "") -> bool:
        """Whether nothing is in flight any more (of that name), soon or after so many seconds. A job may pass from
        one task to another."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while tasks := self._tasks(name):
            await asyncio.wait(tasks, timeout=max(until - loop.time(), 0.0))
            if loop.time() >= until:
                return not self._tasks(name)
        return True

    def _tasks(self, name: str) -> set[asyncio.Task[None]]:
        jobs = [job for job in self._jobs if not name or job.claim.name == name]
        return {job.task for job in jobs if job.task is not None and not job.task.done()}

    # What the rounds find.

    def arrive(self, name: str, due: float) -> None:
        """Somebody put this entry into the lane; it may be us."""
        if due <= self._clock():
            self._waiting.arrive(name)
            self._wake.set()
        else:
            self.notice(name, due)

    def notice(self, name: str, due: float, is_doubtful: bool = False) -> None:
        """This entry waits in the lane. `is_doubtful`: the clock may have been another one when its time was set."""
        now = self._clock()
        if due > now + (self._planned if is_doubtful else self._latest):
            #  Written while the clock ran ahead. When it was meant to be tried nobody knows; now does no harm.
            if name in self._waiting:
                return
            due = now
        self._waiting.notice(name, due)
        self._wake.set()

    def forget(self, name: str) -> None:
        """What we knew of this name no longer holds."""
        self._waiting.forget(name)

    def rescan(self) -> None:
        """Somebody has changed the lane in ways that no watch sees; look at it soon."""
        self._rounds.rescan()

    async def wait_for(self, name: str, seconds: float) -> bool:
        """Until this entry is no longer in flight here, or the time is over: False."""
        return await self._all_end(seconds, name)

    def flights(self) -> list[tuple[str, float]]:
        """The queue ids in flight, and since when, in Unix time."""
        return [(job.claim.envelope.id, job.since) for job in self._jobs]

    async def judge_claim(self, claim: Claim) -> bool:
        """The route of an entry that only waits, after a reload: move it (then False), or put it back."""
        job = Job(claim, is_settling=True)
        self._jobs.add(job)
        try:
            return await self._course.judge(claim)
        finally:
            self.ended(job)

    # What the course of an entry needs of us (course.Lounge).

    def arrived(self, job: Job) -> None:
        if job.called_by:
            self._destinations.arrived(job.called_by)
            job.called_by = ""

    def going_back(self, name: str) -> None:
        self._rounds.given_back(name)

    def back_at(self, name: str, due: float) -> None:
        self._rounds.check_clock()
        self.notice(name, due)

    def back_for(self, name: str, destination: str) -> None:
        self._waiting.park(name, destination)

    def ended(self, job: Job) -> None:
        self.arrived(job)
        self._jobs.discard(job)
        self._wake.set()

    # The loop.

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_stopping:
            self._passed = loop.time()
            self._rounds.check_clock()
            try:
                names = self._next_names()
                if names:
                    for claim in await self._errands.ask(claim_all, self._folder, names):
                        self._take_up(claim)
                    if self._called:
                        self._forget_called(names)
                else:
                    await self._rest()
            except Exception as error:
                self._report(events.FAULT, where=f"runner of {self._lane.word}", error=repr(error))
                await asyncio.sleep(1)

    def _next_names(self) -> list[str]:
        room = min(self._limits.in_flight - len(self._jobs), self._limits.claims_at_once)
        if room <= 0:
            return []
        for destination in self._waiting.destinations():
            self._call_back(destination, room)
        return self._waiting.take(self._clock(), room)

    def _call_back(self, destination: str, most: int) -> None:
        """Those who have waited for room there, as many as there is room for."""
        count = min(self._destinations.room(destination), most)
        names = self._waiting.resume(destination, count) if count else []
        self._destinations.expect(destination, len(names))
        self._called.update(dict.fromkeys(names, destination))

    def _forget_called(self, names: list[str]) -> None:
        """Those that could not be claimed; the others have been taken up."""
        for name in names:
            if destination := self._called.pop(name, ""):
                self._destinations.arrived(destination)

    async def _rest(self) -> None:
        """Until something arrives, is due or has ended."""
        self._wake.clear()
        seconds = LONGEST_REST
        if len(self._jobs) < self._limits.in_flight:
            due = self._waiting.next_due()
            if due is not None:
                seconds = min(max(due - self._clock(), 0.0), LONGEST_REST)
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _take_up(self, claim: Claim) -> None:
        called_by = self._called.pop(claim.name, "") if self._called else ""
        job = Job(claim, called_by=called_by, since=self._clock())
        self._jobs.add(job)
        job.task = asyncio.create_task(self._work(job))

    async def _work(self, job: Job) -> None:
        if not self._is_stopping:
            await self._course.run(job)
            return
        try:
            await self._course.release(job.claim)
        finally:
            self.ended(job)
