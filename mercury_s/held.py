"""Mail that a site's word holds: when the word changes, it goes on by itself.

Nobody drains the hold lane, since nothing there is tried. After a start and a reload MercuryS looks through it and
moves what the routing table no longer holds. From then on it looks at what has come in since: a daemon that heard of
the new word a second later than we did may have put there what we had just let go. What an operator has held by hand
stays until he releases it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Protocol

from shared.observe import events
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.spool.lane import Claim, LaneFolder

#  What `mercury queue hold` and `release` write into the trail.
BY_HAND = "held"
LET_GO = "released"
_TICK_SECONDS = 1.0


class Judge(Protocol):
    """Moves a claim to where it belongs (then False), or puts it back (shared/delivery/runner.py)."""

    async def judge_claim(self, claim: Claim) -> bool: ...


def is_held_by_hand(claim: Claim) -> bool:
    steps = [record.event for record in claim.trail.records if record.event in (BY_HAND, LET_GO)]
    return bool(steps) and steps[-1] == BY_HAND


class HeldMail:
    """`look` judges all of it; what stays is not judged again until the next `look`. `rest` in seconds."""

    def __init__(self, folder: LaneFolder, judge: Judge, rest: float = 5.0) -> None:
        self._folder = folder
        self._judge = judge
        self._rest = rest
        self._judged: set[str] = set()
        self._seen: float | None = None  #  when the folder had last changed as we read it
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        self._judged.clear()
        self._seen = None
        self._asked.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            self._asked.clear()
            try:
                await self._judge_new()
            except OSError as error:
                log.event(events.SPOOL_TROUBLE, lane=Lane.HOLD.word, reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._rest)

    async def _judge_new(self) -> None:
        names = await asyncio.get_running_loop().run_in_executor(None, self._new)
        for name in names:
            if self._asked.is_set():
                return
            #  What goes may come back under its name while we look the other way.
            if await self._stays(name):
                self._judged.add(name)

    def _new(self) -> list[str]:
        """What has not been judged; read only when the folder has changed."""
        changed = os.stat(self._folder.new).st_mtime
        if changed == self._seen:
            return []
        #  What comes within the same tick of the kernel's clock does not show; so a fresh time is not believed.
        self._seen = changed if abs(time.time() - changed) > _TICK_SECONDS else None
        names = [name for name, _ in self._folder.scan()]
        self._judged.intersection_update(names)
        return [name for name in names if name not in self._judged]

    async def _stays(self, name: str) -> bool:
        loop = asyncio.get_running_loop()
        claim = await loop.run_in_executor(None, self._folder.claim, name)
        if claim is None:
            return False
        if is_held_by_hand(claim):
            await loop.run_in_executor(None, self._folder.release, claim)
            return True
        return await self._judge.judge_claim(claim)
