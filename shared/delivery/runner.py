"""The runner of one lane: claims what is due, has it carried, settles it. The same in MercuryS, C and E.

Here: the loop, what is in flight, starting, reloading and stopping. One attempt is in attempt.py, its consequences in
settlement.py (what) and settle.py (in which order), changes of the route in sorting.py, the round of beats, rescans
and sweeps in rounds.py. Time, chance, threads and the carrier come in as arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from shared.delivery.attempt import Crew, Outcomes, Rejudge, Report, attempt, deliveries, say_fault
from shared.delivery.carrier import Carrier, RoutePlanner
from shared.delivery.errands import Errands
from shared.delivery.reports import Reports
from shared.delivery.rounds import BeginWatch, Limits, Rounds, claim_all
from shared.delivery.same_host import hosts_that_may_have_it
from shared.delivery.settle import Desk, say_outcomes, settle
from shared.delivery.settlement import MAYBE_DELIVERED, History, decide_settlement, is_plain_success
from shared.delivery.sorting import Sorter, judge_again
from shared.delivery.waiting import Waiting
from shared.mail.envelope import Recipient
from shared.observe import events
from shared.retry.schedule import RetryPolicy, latest_due
from shared.routing.lane import Lane
from shared.spool.claim import Claim
from shared.spool.deposit import Depositor
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.schedule import Schedule
from shared.spool.trail import WARNED

#  The loop looks at the clock at least this often, should the clock jump.
LONGEST_REST = 30.0
#  When the grace of a stop is over, what is already being settled gets this long.
LAST_MOMENT = 5.0


@dataclass(slots=True, eq=False)
class Job:
    """An entry in flight. Once `is_settling`, calling it off would forget what has happened."""

    claim: Claim
    outcomes: Outcomes = field(default_factory=dict)
    kept: frozenset[Recipient] = frozenset()
    is_settling: bool = False
    task: asyncio.Task[None] | None = None


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
        retry: RetryPolicy,
        rejudge: Rejudge,
        reports: Reports,
        depositor: Depositor,
        executor: Executor,
        clock: Callable[[], float],
        chance: Callable[[], float],
        report: Report,
        limits: Limits | None = None,
        watch: BeginWatch | None = None,
    ) -> None:
        limits = limits or Limits()
        self._lane, self._folder, self._limits = lane, folder, limits
        self._clock, self._chance, self._report = clock, chance, report
        self._crew = Crew(planner, carrier, retry, rejudge)
        self._errands = Errands(executor)
        self._waiting = Waiting(schedule)
        self._desk = Desk(daemon, folder, self._errands, Errands(executor), reports, clock, report)
        self._sorter = Sorter(self._desk, depositor, executor, lane)
        self._rounds = Rounds(self, folder, owner, Errands(executor), clock, report, limits, watch)
        self._jobs: set[Job] = set()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        return len(self._jobs)

    @property
    def waiting(self) -> int:
        """Entries that wait in the lane, as far as we know."""
        return len(self._waiting)

    async def start(self) -> None:
        """Take back what dead owners left, then drain the lane until `stop`."""
        await self._rounds.start()
        self._loop_task = asyncio.create_task(self._drain())

    def reload(
        self,
        *,
        planner: RoutePlanner | None = None,
        carrier: Carrier | None = None,
        retry: RetryPolicy | None = None,
        rejudge: Rejudge | None = None,
    ) -> None:
        """From the next attempt on these are asked. What waits is judged again in the background, and moved."""
        old = self._crew
        self._crew = Crew(planner or old.planner, carrier or old.carrier, retry or old.retry, rejudge or old.rejudge)
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

    async def _all_end(self, seconds: float) -> None:
        tasks = [job.task for job in self._jobs if job.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    # What the rounds find.

    def arrive(self, name: str, due: float) -> None:
        """Somebody put this entry into the lane; it may be us."""
        if due <= self._clock():
            self._waiting.arrive(name)
            self._wake.set()
        else:
            self.notice(name, due)

    def notice(self, name: str, due: float) -> None:
        """This entry waits in the lane."""
        latest = latest_due(self._crew.retry, self._clock())
        if due > latest:
            #  Written while the clock ran ahead. Once seen, its time is not put off again.
            if name in self._waiting:
                return
            due = latest
        self._waiting.notice(name, due)
        self._wake.set()

    def forget(self, name: str) -> None:
        """What we knew of this name no longer holds."""
        self._waiting.forget(name)

    def rescan(self) -> None:
        """Somebody has changed the lane in ways that no watch sees; look at it soon."""
        self._rounds.rescan()

    async def judge_claim(self, claim: Claim) -> None:
        """The route of an entry that only waits, after a reload: move it, or put it back."""
        job = Job(claim, is_settling=True)
        self._jobs.add(job)
        try:
            stays, ways = judge_again(self._crew.rejudge, self._lane, claim)
            if not ways or not await self._sorter.send_on(claim, stays, ways):
                await self._release(claim)
        except Exception as error:
            say_fault(self._report, claim.envelope, error, "recheck")
            await self._release(claim)
        finally:
            self._end(job)

    # The loop.

    async def _drain(self) -> None:
        while not self._is_stopping:
            try:
                names = self._next_names()
                if names:
                    for claim in await self._errands.ask(claim_all, self._folder, names):
                        self._take_up(claim)
                else:
                    await self._rest()
            except Exception as error:
                self._report(events.FAULT, where=f"runner of {self._lane.word}", error=repr(error))
                await asyncio.sleep(1)

    def _next_names(self) -> list[str]:
        room = min(self._limits.in_flight - len(self._jobs), self._limits.claims_at_once)
        return self._waiting.take(self._clock(), room) if room > 0 else []

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
        job = Job(claim)
        self._jobs.add(job)
        job.task = asyncio.create_task(self._work(job))

    def _end(self, job: Job) -> None:
        self._jobs.discard(job)
        self._wake.set()

    # One entry.

    async def _work(self, job: Job) -> None:
        claim = job.claim
        try:
            if self._is_stopping:
                await self._release(claim)
                return
            await self._attempt(job)
        except asyncio.CancelledError:
            if not job.is_settling:
                await self._put_back(job, None)
        except Exception as error:
            say_fault(self._report, claim.envelope, error, "runner")
            await self._put_back(job, self._clock() + self._crew.retry.first)
        finally:
            self._end(job)

    async def _attempt(self, job: Job) -> None:
        claim, crew = job.claim, self._crew
        stays, ways = judge_again(crew.rejudge, self._lane, claim)
        if ways:
            job.is_settling = True
            if await self._sorter.send_on(claim, stays, ways):
                return
            job.is_settling = False
        if stays:
            await attempt(
                crew,
                claim.envelope,
                claim.content,
                stays,
                job.outcomes,
                lambda news: self._keep(job, news),
                self._report,
                hosts_that_may_have_it(claim.trail.records) if claim.attempts else (),
            )
        job.is_settling = True
        if is_plain_success(job.outcomes):
            say_outcomes(self._report, claim.envelope, self._lane.word, job.outcomes)
            await self._desk.retire(claim)
            self._report(events.MESSAGE_FINISHED, id=claim.envelope.id, lane=self._lane.word)
        else:
            await self._settle(job, crew)

    async def _settle(self, job: Job, crew: Crew) -> None:
        claim, policy = job.claim, crew.retry
        settlement = decide_settlement(
            policy,
            claim.envelope,
            job.outcomes,
            history_of(claim),
            self._clock(),
            self._chance(),
            is_final=self._lane is Lane.LOCAL,
        )
        say_outcomes(self._report, claim.envelope, self._lane.word, settlement.outcomes)
        if settlement.when is not None and crew is not self._crew and self._is_elsewhere(claim):
            settlement = replace(settlement, when=self._clock())
        gives_up_at = claim.envelope.arrived + policy.lifetime_of(claim.envelope)
        if settlement.when is not None:
            self._rounds.given_back(claim.name)
        await settle(self._desk, claim, settlement, job.kept, gives_up_at)
        if settlement.when is not None:
            self.notice(claim.name, settlement.when)

    async def _release(self, claim: Claim) -> None:
        self._rounds.given_back(claim.name)
        await self._desk.release(claim)
        self.notice(claim.name, claim.due)

    def _is_elsewhere(self, claim: Claim) -> bool:
        """The route changed during the attempt; the next claim will move the entry."""
        return bool(judge_again(self._crew.rejudge, self._lane, claim)[1])

    async def _keep(self, job: Job, news: Outcomes) -> None:
        delivered = deliveries(news)
        await self._desk.keep(job.claim, delivered)
        job.kept |= delivered.keys()

    async def _put_back(self, job: Job, when: float | None) -> None:
        """It ends here unsettled; only what was delivered is written down. `when` None: due as before."""
        job.is_settling = True
        delivered = {who: how for who, how in deliveries(job.outcomes).items() if who not in job.kept}
        if delivered:
            await self._desk.keep(job.claim, delivered)
        if when is None:
            await self._release(job.claim)
        else:
            self._rounds.given_back(job.claim.name)
            await self._desk.postpone(job.claim, when)
            self.notice(job.claim.name, when)


def history_of(claim: Claim) -> History:
    """What the trail says; an entry at its first attempt has none."""
    if not claim.attempts:
        return History()
    records = claim.trail.records
    return History(
        claim.attempts,
        any(record.event == WARNED for record in records),
        frozenset(record.recipient for record in records if record.detail.startswith(MAYBE_DELIVERED)),
    )
