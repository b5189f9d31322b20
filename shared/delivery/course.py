"""The course of one entry: from its claim, by an attempt, to its settlement, whatever happens on the way.

An attempt is in attempt.py, its consequences in settlement.py (what) and settle.py (in which order), changes of the
route in sorting.py. Not here: which entries are claimed, and when (runner.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from shared.delivery.attempt import Crew, Load, Outcomes, attempt, deliveries, say_fault
from shared.delivery.detour import detour_of
from shared.delivery.job import Job
from shared.delivery.retirement import Retirement
from shared.delivery.rounds import claim_all
from shared.delivery.same_host import hosts_that_may_have_it
from shared.delivery.settle import Desk, say_outcomes, settle
from shared.delivery.settlement import MAYBE_DELIVERED, History, decide_settlement, is_plain_success
from shared.delivery.sorting import Sorter, judge_again
from shared.observe import events
from shared.routing.lane import Lane
from shared.spool.claim import Claim
from shared.spool.trail import DEFERRED, WARNED


class Lounge(Protocol):
    """Where entries go that are not finished: the runner."""

    def back_at(self, name: str, due: float) -> None:
        """It is back in the lane, to be tried at `due`."""

    def back_for(self, name: str, destination: str) -> None:
        """It goes back into the lane, to be tried when there is room at `destination`."""

    def arrived(self, job: Job) -> None:
        """It stands where it was called to; may be said again."""

    def going_back(self, name: str) -> None:
        """Its file is about to appear in the lane."""

    def ended(self, job: Job) -> None:
        """It is in flight no longer."""


@dataclass(slots=True)
class Course:
    """`crew` changes with the configuration; an attempt under way keeps the one it began with."""

    crew: Crew
    lane: Lane
    desk: Desk
    sorter: Sorter
    lounge: Lounge
    chance: Callable[[], float]
    retirement: Retirement = field(init=False)

    def __post_init__(self) -> None:
        desk = self.desk
        insist = partial(self.run, steps=self._insist_on_retiring)
        self.retirement = Retirement(desk.folder, desk.errands, desk.report, self.lounge.ended, insist)

    async def run(self, job: Job, steps: Callable[[Job], Awaitable[bool]] | None = None) -> None:
        """To the end, or to the point where it is called off; or to its retirement, which sees to the rest. `steps`
        say whether it has ended with them; None: an attempt."""
        has_ended = True
        try:
            has_ended = await (steps or self._attempt)(job)
        except asyncio.CancelledError:
            if not job.is_settling:
                await self._put_back(job, None)
        except Exception as error:
            self._say(job.claim, error, "runner")
            await self._put_back(job, self.desk.clock() + self.crew.retry.of(job.claim.envelope).first)
        finally:
            if has_ended:
                self.lounge.ended(job)

    async def _insist_on_retiring(self, job: Job) -> bool:
        """By itself, until the disk lets us."""
        await self.desk.retire(job.claim)
        self.desk.report(events.MESSAGE_FINISHED, id=job.claim.envelope.id, lane=self.lane.word)
        return True

    async def judge(self, claim: Claim) -> bool:
        """The route of an entry that only waits: move it (then False), or put it back."""
        try:
            stays, ways = judge_again(self.crew.rejudge, self.lane, claim)
            if ways and await self.sorter.send_on(claim, stays, ways):
                return False
        except Exception as error:
            self._say(claim, error, "recheck")
        await self.release(claim)
        return True

    def _say(self, claim: Claim, error: Exception, where: str) -> None:
        """A disk that cannot be read is no broken promise; what carriers raise was caught before (attempt.py)."""
        if isinstance(error, OSError):
            self.desk.report(events.SPOOL_TROUBLE, id=claim.envelope.id, path=claim.name, reason=str(error))
        else:
            say_fault(self.desk.report, claim.envelope, error, where)

    async def release(self, claim: Claim) -> None:
        self.lounge.going_back(claim.name)
        await self.desk.release(claim)
        self.lounge.back_at(claim.name, claim.due)

    async def _attempt(self, job: Job) -> bool:
        claim, crew = job.claim, self.crew
        stays, ways = judge_again(crew.rejudge, self.lane, claim)
        if ways:
            job.is_settling = True
            if await self.sorter.send_on(claim, stays, ways):
                return True
            job.is_settling = False
        put_off = ""
        if stays:
            load = Load(
                claim.envelope,
                claim.content,
                hosts_that_may_have_it(claim.trail.records) if claim.attempts else (),
                lambda news: self._keep(job, news),
                lambda: self.lounge.arrived(job),
                detour_of(claim.trail.records) if claim.trail.records else None,
            )
            put_off = await attempt(crew, load, stays, job.outcomes)
        job.is_settling = True
        if put_off and not job.outcomes:
            self.lounge.back_for(claim.name, put_off)
            await self.desk.release(claim)
        elif is_plain_success(job.outcomes) and not put_off:
            say_outcomes(self.desk.report, claim.envelope, self.lane.word, job.outcomes, self.desk.clock())
            self.retirement.put(job)
            return False
        else:
            await self._settle(job, crew, put_off)
        return True

    async def _settle(self, job: Job, crew: Crew, put_off: str) -> None:
        claim, policy, now = job.claim, crew.retry.of(job.claim.envelope), self.desk.clock()
        settlement = decide_settlement(
            policy,
            claim.envelope,
            job.outcomes,
            history_of(claim),
            now,
            self.chance(),
            is_final=self.lane is Lane.LOCAL,
        )
        say_outcomes(self.desk.report, claim.envelope, self.lane.word, settlement.outcomes, now)
        is_parked = bool(put_off) and settlement.when is None
        if is_parked:
            settlement = replace(settlement, when=claim.due)
        judged = self.crew
        if settlement.when is not None and crew is not judged and self._is_elsewhere(claim):
            settlement = replace(settlement, when=now)
        gives_up_at = claim.envelope.arrived + policy.lifetime_of(claim.envelope)
        if is_parked:
            self.lounge.back_for(claim.name, put_off)
        elif settlement.when is not None:
            self.lounge.going_back(claim.name)
        await settle(self.desk, claim, settlement, job.kept, gives_up_at)
        if settlement.when is not None and not is_parked:
            self.lounge.back_at(claim.name, settlement.when)
            await self._judge_anew(claim.name, judged)

    def _is_elsewhere(self, claim: Claim) -> bool:
        """The route changed during the attempt; the next claim will move the entry."""
        return bool(judge_again(self.crew.rejudge, self.lane, claim)[1])

    async def _judge_anew(self, name: str, judged: Crew) -> None:
        """It is in the lane again. If the route changed while it was on its way there, those who looked at all that
        waits have not met it."""
        while self.crew is not judged:
            judged = self.crew
            for claim in await self.desk.errands.ask(claim_all, self.desk.folder, [name]):
                await self.judge(claim)

    async def _keep(self, job: Job, news: Outcomes) -> None:
        delivered = deliveries(news)
        await self.desk.keep(job.claim, delivered)
        job.kept |= delivered.keys()

    async def _put_back(self, job: Job, when: float | None) -> None:
        """It ends here unsettled; only what was delivered is written down. `when` None: due as before."""
        job.is_settling = True
        delivered = {who: how for who, how in deliveries(job.outcomes).items() if who not in job.kept}
        if delivered:
            await self.desk.keep(job.claim, delivered)
        if when is None:
            await self.release(job.claim)
        else:
            judged = self.crew
            self.lounge.going_back(job.claim.name)
            await self.desk.postpone(job.claim, when)
            self.lounge.back_at(job.claim.name, when)
            await self._judge_anew(job.claim.name, judged)


def history_of(claim: Claim) -> History:
    """What the trail says; an entry at its first attempt has none."""
    if not claim.attempts:
        return History()
    records = claim.trail.records
    last = max((record.at for record in records if record.event == DEFERRED), default=claim.due)
    return History(
        claim.attempts,
        #  Both were set by the same clock at the same time, so that no jump of it stands between them.
        claim.due - last,
        any(record.event == WARNED for record in records),
        frozenset(record.recipient for record in records if record.detail.startswith(MAYBE_DELIVERED)),
    )
