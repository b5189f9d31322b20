"""The trash empties itself: what an operator has removed goes for good after `queue.trash`.

Of MercuryS alone, as no daemon drains that lane. How long an entry lies there tells its file's time, which is that of
its removal. It must be overdue at two looks, an hour apart by a clock that does not jump, so that a jump of the clock
of the wall which somebody puts right takes nothing from an operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.observe import events
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.spool.lane import LaneFolder

_FIRST, _EVERY = 120.0, 3600.0


class Trash:
    """`folder` is that of the trash lane; `keep`, in seconds, and `clock`, in Unix time, are asked at each look."""

    def __init__(self, folder: LaneFolder, keep: Callable[[], float], clock: Callable[[], float]) -> None:
        self._folder = folder
        self._keep = keep
        self._clock = clock
        self._overdue: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        await asyncio.sleep(_FIRST)
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(None, self.look)
            except OSError as error:
                log.event(events.SPOOL_TROUBLE, lane=Lane.TRASH.word, reason=str(error))
            await asyncio.sleep(_EVERY)

    def look(self) -> int:
        """In a thread. How many are gone for good. Raises OSError."""
        self._folder.adopt()
        before = self._clock() - self._keep()
        overdue = {name for name, removed in self._folder.scan() if removed <= before}
        gone = sum(self._remove(name, before) for name in sorted(overdue & self._overdue))
        self._overdue = overdue
        return gone

    def _remove(self, name: str, before: float) -> bool:
        claim = self._folder.claim(name)
        if claim is None:
            return False
        if claim.due > before:
            self._folder.release(claim)  #  Brought back and removed once more since it was listed.
            return False
        log.event(
            events.TRASH_EMPTIED, id=claim.envelope.id, sender=claim.envelope.sender_text, removed=int(claim.due)
        )
        self._folder.retire(claim)
        return True
