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
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.mail.outcome import Feedback

SHARE_OF_THE_WELL = 4
#  As many as the connections that are made to it at first (shared/transport/pool.py).
MOST_OF_THE_UNPROVEN = 4
#  Seconds that a leg waits for room while others are under way there.
PATIENCE = 0.5
#  Destinations remembered as well; the oldest is unproven again.
MOST_REMEMBERED = 10_000
#  Seconds between legs to a stranger that turns even single ones away; doubled each time, halved when one goes well.
FIRST_GAP, LONGEST_GAP = 1.0, 32.0


@dataclass(slots=True)
class _Destination:
    """`coming`: entries that were called back for its sake and have not got here yet. `is_stuck`: somebody has waited
    in vain since the last leg ended. `most` at once, if it is not 0.

    For strangers only. `window`: how many at once have gone well, over all hosts. `spared`: legs that had set out
    when it became narrower. `gap`: seconds between legs; `rests`: pauses that are not over, while none sets out.
    """

    busy: int = 0
    coming: int = 0
    is_well: bool = False
    is_stuck: bool = False
    most: int = 0
    window: float = MOST_OF_THE_UNPROVEN
    has_stumbled: bool = False
    spared: int = 0
    gap: float = 0.0
    rests: int = 0
    queue: deque[asyncio.Future[bool]] = field(default_factory=deque)

    @property
    def is_of_no_note(self) -> bool:
        return not (self.busy or self.coming or self.is_well or self.queue or self.has_stumbled)


class Destinations:
    """`slots`: legs under way at once, over all. In the loop's thread only.

    `are_strangers`: what one destination gets at once follows what it bears (shared/smtp/feedback.py): one more for
    each that goes well, and from the first bad one on, one more for each round; half as many when mail is put off, or
    the host cannot be reached, is silent or breaks off; and one after the other, with pauses, when it still turns us
    away. Who cannot be reached gets no pauses here: nobody dials him for a while (shared/transport/back_off.py), and
    mail goes back to wait for its next attempt. `wake` is called when such a pause is over.
    """

    def __init__(self, slots: int, are_strangers: bool = False, wake: Callable[[], object] = lambda: None) -> None:
        self._free = slots
        self._slots = slots
        self._are_strangers = are_strangers
        self._wake = wake
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
        self._set_out(it)
        return True

    async def enter(self, name: str) -> bool:
        """As enter_now, but wait a moment where that may help."""
        it = self._known.get(name) or self._note(name)
        if (it.busy and (it.is_stuck or (it.queue and not it.is_well))) or it.rests:
            return False
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        it.queue.append(place)
        self._queues[name] = it
        timer = asyncio.get_running_loop().call_later(PATIENCE, _give_up, place, it)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave(name, Feedback.NONE)
            raise
        finally:
            timer.cancel()
            if place in it.queue:
                it.queue.remove(place)

    def leave(self, name: str, feedback: Feedback) -> None:
        """A leg has ended."""
        it = self._known[name]
        it.busy -= 1
        it.is_stuck = False
        self._free += 1
        if feedback is not Feedback.NONE:
            it.is_well = feedback is Feedback.GOOD
            if self._are_strangers:
                self._adapt(it, feedback)
        if self._queues:
            self._admit()
        if it.is_of_no_note:
            del self._known[name]

    def room(self, name: str) -> int:
        """How many entries can be called back for this destination now."""
        it = self._known.get(name)
        if it is None:
            return int(self._free > 0)
        if it.rests:
            return 0
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
        return self._free > 0 and not it.rests and (it.busy == 0 or it.busy < self._limit(it))

    def _set_out(self, it: _Destination) -> None:
        it.busy += 1
        self._free -= 1
        if it.gap:
            self._rest(it)

    def _adapt(self, it: _Destination, feedback: Feedback) -> None:
        if feedback is Feedback.GOOD:
            it.window = min(it.window + (1 / it.window if it.has_stumbled else 1), self._slots)
            it.gap = it.gap / 2 if it.gap > FIRST_GAP else 0.0
        elif it.spared:
            it.spared -= 1
        else:
            if feedback is Feedback.TURNED_AWAY and it.window < 2:
                it.gap = min(max(it.gap * 2, FIRST_GAP), LONGEST_GAP)
                self._rest(it)
            it.window, it.has_stumbled, it.spared = max(it.window / 2, 1.0), True, it.busy

    def _rest(self, it: _Destination) -> None:
        it.rests += 1
        asyncio.get_running_loop().call_later(it.gap, self._end_rest, it)

    def _end_rest(self, it: _Destination) -> None:
        it.rests -= 1
        self._wake()

    def _limit(self, it: _Destination) -> int:
        room = self._free * SHARE_OF_THE_WELL
        if not it.is_well:
            room = min(room, MOST_OF_THE_UNPROVEN)
        if self._are_strangers:
            room = min(room, int(it.window))
        return min(room, it.most) if it.most else room

    def _admit(self) -> None:
        """Whoever waits and has room now; destinations in turns."""
        for name, it in list(self._queues.items()):
            while it.queue and self._has_room(it):
                place = it.queue.popleft()
                if not place.done():
                    self._set_out(it)
                    place.set_result(True)
                    break
            del self._queues[name]
            if it.queue:
                self._queues[name] = it


def _give_up(place: asyncio.Future[bool], it: _Destination) -> None:
    if not place.done():
        place.set_result(False)
        it.is_stuck = True
