"""Mail that a site's word holds: when the word changes, it goes on by itself.

Nobody drains the hold lane, since nothing there is tried. After a start and a reload MercuryS looks through it once
and moves what the routing table no longer holds. What an operator has held by hand stays until he releases it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from shared.observe import events
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.spool.lane import Claim, LaneFolder

#  What `mercury queue hold` and `release` write into the trail.
BY_HAND = "held"
LET_GO = "released"


class Judge(Protocol):
    """Moves a claim to where it belongs, or puts it back (shared/delivery/runner.py)."""

    async def judge_claim(self, claim: Claim) -> None: ...


def is_held_by_hand(claim: Claim) -> bool:
    steps = [record.event for record in claim.trail.records if record.event in (BY_HAND, LET_GO)]
    return bool(steps) and steps[-1] == BY_HAND


class HeldMail:
    """`look` may be called again while it is at work; it then looks once more."""

    def __init__(self, folder: LaneFolder, judge: Judge) -> None:
        self._folder = folder
        self._judge = judge
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def look(self) -> None:
        if self._task is not None and not self._task.done():
            self._again = True
        else:
            self._task = asyncio.ensure_future(self._look())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._again = False
            try:
                names = await loop.run_in_executor(None, lambda: [name for name, _ in self._folder.scan()])
                for name in names:
                    await self._judge_one(name)
            except OSError as error:
                log.event(events.SPOOL_TROUBLE, lane=Lane.HOLD.word, reason=str(error))
            if not self._again:
                return

    async def _judge_one(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        claim = await loop.run_in_executor(None, self._folder.claim, name)
        if claim is None:
            return
        if is_held_by_hand(claim):
            await loop.run_in_executor(None, self._folder.release, claim)
        else:
            await self._judge.judge_claim(claim)
