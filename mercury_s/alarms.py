"""One timer for all connections of a listener: each is woken in its turn, half a second late at most.

A timer of the reactor for each of them would cost a busy server as much as the policy of its door. What a connection
does when it is woken is listener.py.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime

_TURN_SECONDS = 0.5


class Sleeper(Protocol):
    """Who is woken. It may set its next alarm while it wakes."""

    def wake(self) -> None: ...


class Alarms:
    """While nobody sleeps there is no timer."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._sleepers: dict[int, set[Sleeper]] = {}
        self._is_ticking = False

    def set(self, sleeper: Sleeper, seconds: float) -> int:
        """Wake it after so many seconds. The turn is what `cancel` wants to know."""
        turn = int((self._clock.seconds() + seconds) / _TURN_SECONDS) + 1
        sleepers = self._sleepers.get(turn)
        if sleepers is None:
            sleepers = self._sleepers[turn] = set()
            if not self._is_ticking:
                self._is_ticking = True
                self._clock.callLater(_TURN_SECONDS, self._tick)
        sleepers.add(sleeper)
        return turn

    def cancel(self, sleeper: Sleeper, turn: int) -> None:
        """It may have been woken before."""
        sleepers = self._sleepers.get(turn)
        if sleepers is not None:
            sleepers.discard(sleeper)
            if not sleepers:
                del self._sleepers[turn]

    def _tick(self) -> None:
        now = int(self._clock.seconds() / _TURN_SECONDS)
        for turn in sorted(turn for turn in self._sleepers if turn <= now):
            for sleeper in self._sleepers.pop(turn, ()):
                sleeper.wake()
        self._is_ticking = bool(self._sleepers)
        if self._is_ticking:
            self._clock.callLater(_TURN_SECONDS, self._tick)
