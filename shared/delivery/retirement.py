"""The retirement of entries that went as they should: many in one trip to a thread, and none with a task of its own.

While a group is under way the next one gathers. What the disk does not let go is tried again by itself (course.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from shared.delivery.attempt import Report
from shared.delivery.errands import Errands
from shared.delivery.job import Job
from shared.observe import events
from shared.spool.claim import Claim
from shared.spool.lane import LaneFolder


class Retirement:
    """`ended` hears of each job that has ended; `insist` is what becomes of one that could not be retired."""

    def __init__(
        self,
        folder: LaneFolder,
        errands: Errands,
        report: Report,
        ended: Callable[[Job], None],
        insist: Callable[[Job], Coroutine[None, None, None]],
    ) -> None:
        self._folder, self._errands, self._report = folder, errands, report
        self._ended, self._insist = ended, insist
        #  The group that gathers, and the task of the group that was begun last.
        self._gathering: list[Job] | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, job: Job) -> None:
        """Everybody has it and has been heard of; from here on the entry is only in the way."""
        if self._gathering is None:
            self._gathering = []
            self._task = asyncio.create_task(self._retire(self._gathering, self._task))
        self._gathering.append(job)
        job.task = self._task

    async def _retire(self, jobs: list[Job], before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait((before,))
            self._gathering = None
            faults = await self._errands.ask(retire_all, self._folder, [job.claim for job in jobs])
        except asyncio.CancelledError:
            #  They stay claimed, and are taken back by whoever sees that we are gone.
            self._gathering = None
            for job in jobs:
                self._ended(job)
            return
        except Exception as error:
            faults = [error] * len(jobs)
        lane = self._folder.lane.word
        for job, fault in zip(jobs, faults, strict=True):
            if fault is None:
                self._report(events.MESSAGE_FINISHED, id=job.claim.envelope.id, lane=lane)
                self._ended(job)
                continue
            if isinstance(fault, OSError):
                id, path = job.claim.envelope.id, job.claim.name
                self._report(events.SPOOL_TROUBLE, id=id, path=path, reason=str(fault))
            job.task = asyncio.create_task(self._insist(job))


def retire_all(folder: LaneFolder, claims: Sequence[Claim]) -> list[Exception | None]:
    """In a thread: one trip for many. What went wrong with each."""
    faults: list[Exception | None] = []
    for claim in claims:
        try:
            folder.retire(claim)
            faults.append(None)
        except Exception as error:
            faults.append(error)
    return faults
