"""Room on the way: how many legs may be under way to each destination at once.

A destination that takes mail may use four times the room that is left: one that is alone has nearly all of it, and
many share it evenly. As long as a destination has not shown that it takes mail, it has a few places and no more, so
that dozens that do not answer leave room for one that does. A leg that finds none waits a moment; where nothing moves
at all, not even that, and its entry goes back to wait (waiting.py). Names and counts only; what a destination is, the
planner knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

SHARE_OF_THE_WELL = 4
#  As many as the connections that are made to it at first (shared/transport/pool.py).
MOST_OF_THE_UNPROVEN = 4
#  Seconds that a leg waits for room while others are under way there.
PATIENCE = 0.5
#  Destinations remembered as well; the oldest is unproven again.
MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Destination:
    """`coming`: entries that were called back for its sake and have not got here yet. `is_stuck`: somebody has waited
    in vain since the last leg ended. `most` at once, if it is not 0."""

    busy: int = 0
    coming: int = 0
    is_well: bool = False
    is_stuck: bool = False
    most: int = 0
    queue: deque[asyncio.Future[bool]] = field(default_factory=deque)

    @property
    def is_of_no_note(self) -> bool:
        return not (self.busy or self.coming or self.is_well or self.queue)


class Destinations:
    """`slots`: legs under way at once, over all. In the loop's thread only."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._known: dict[str, _Destination] = {}
        self._queues: dict[str, _Destination] = {}

    def enter_now(self, name: str, most: int = 0) -> bool:
        """Take a slot if there is room without waiting; then `leave` it. `most`: see Leg."""
        it = self._known.get(name)
        if it is None:
            it = self._note(name)
        it.most = most
        if it.queue or not self._has_room(it):
            return False
        it.busy += 1
        self._free -= 1
        return True

    async def enter(self, name: str) -> bool:
        """As enter_now, but wait a moment where that may help."""
        it = self._known.get(name) or self._note(name)
        if it.busy and (it.is_stuck or (it.queue and not it.is_well)):
            return False
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        it.queue.append(place)
        self._queues[name] = it
        timer = asyncio.get_running_loop().call_later(PATIENCE, _give_up, place, it)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave(name, it.is_well)
            raise
        finally:
            timer.cancel()
            if place in it.queue:
                it.queue.remove(place)

    def leave(self, name: str, is_well: bool) -> None:
        """A leg has ended; `is_well`: the far end has taken or refused mail, as against nothing or `later`."""
        it = self._known[name]
        it.busy -= 1
        it.is_well, it.is_stuck = is_well, False
        self._free += 1
        if self._queues:
            self._admit()
        if it.is_of_no_note:
            del self._known[name]

    def room(self, name: str) -> int:
        """How many entries can be called back for this destination now."""
        it = self._known.get(name)
        if it is None:
            return int(self._free > 0)
        under_way = it.busy + it.coming + len(it.queue)
        return max(self._limit(it) - under_way, int(self._free > 0 and not under_way))

    def expect(self, name: str, count: int) -> None:
        """`count` entries were called back."""
        if count:
            (self._known.get(name) or self._note(name)).coming += count

    def arrived(self, name: str) -> None:
        """One of them is here, or will not come."""
        it = self._known[name]
        it.coming -= 1
        if it.is_of_no_note:
            del self._known[name]

    def _note(self, name: str) -> _Destination:
        if len(self._known) >= MOST_REMEMBERED:
            self._forget_one()
        it = self._known[name] = _Destination()
        return it

    def _forget_one(self) -> None:
        for name, it in self._known.items():
            if not (it.busy or it.coming or it.queue):
                del self._known[name]
                return

    def _has_room(self, it: _Destination) -> bool:
        return self._free > 0 and (it.busy == 0 or it.busy < self._limit(it))

    def _limit(self, it: _Destination) -> int:
        room = self._free * SHARE_OF_THE_WELL
        if not it.is_well:
            room = min(room, MOST_OF_THE_UNPROVEN)
        return min(room, it.most) if it.most else room

    def _admit(self) -> None:
        """Whoever waits and has room now; destinations in turns."""
        for name, it in list(self._queues.items()):
            while it.queue and self._has_room(it):
                place = it.queue.popleft()
                if not place.done():
                    it.busy += 1
                    self._free -= 1
                    place.set_result(True)
                    break
            del self._queues[name]
            if it.queue:
                self._queues[name] = it


def _give_up(place: asyncio.Future[bool], it: _Destination) -> None:
    if not place.done():
        place.set_result(False)
        it.is_stuck = True
