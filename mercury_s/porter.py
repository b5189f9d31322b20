"""The porter: who is known, who has misbehaved, who is on the blacklist. What he remembers outlives a reload.

He counts for all listeners. Not here: how many are inside (Visitors), how often who may come (throttle.py), what a
client may do (policy/client.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from mercury_s.meters import AnyMeter, renew
from mercury_s.policy.verdict import Refuse
from mercury_s.tally import Tally
from mercury_s.throttle import client_key
from shared.config.limits import BlacklistSettings
from shared.mail.reply import Reply
from shared.observe import events
from shared.observe.log import log
from shared.state.blacklist import Entry

_KNOWN = 10_000
#  Who gave us mail within a day is known.
_KNOWN_SECONDS = 86400.0


class Offence(StrEnum):
    """What brings a client onto the blacklist; the value is the name of its setting."""

    UNKNOWN_RECIPIENT = "unknown_recipients"
    RELAY_ATTEMPT = "relay_attempts"
    FAILED_LOGIN = "failed_logins"


_REASONS = {
    Offence.UNKNOWN_RECIPIENT: "too many unknown recipients",
    Offence.RELAY_ATTEMPT: "too many relay attempts",
    Offence.FAILED_LOGIN: "too many failed logins",
}


class Blacklisting(Protocol):
    """What is asked of shared/state/blacklist_file.py."""

    def find(self, address: str) -> Entry | None: ...
    def add(self, address: str, reason: str, seconds: float | None) -> Entry: ...


class Porter:
    """`now` is Unix time, `clock` any seconds that only go forward."""

    def __init__(
        self,
        settings: BlacklistSettings,
        blacklist: Blacklisting,
        clock: Callable[[], float],
        now: Callable[[], float],
        tally: Tally | None = None,
    ) -> None:
        self.blacklist = blacklist
        self._tally = tally
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, float] = OrderedDict()
        self._meters: dict[Offence, AnyMeter | None] = dict.fromkeys(Offence)
        self.use(settings)

    def use(self, settings: BlacklistSettings) -> None:
        """New settings; what was counted by rates that stay the same still counts."""
        self.seconds = settings.time  #  how long an entry stays
        for offence in Offence:
            self._meters[offence] = renew(
                self._meters[offence], getattr(settings, offence), self._clock, self._tally, offence
            )

    # ---- known clients ---------------------------------------------------------------------------------------------

    def remember(self, client: str) -> None:
        """It gave us a message that we took."""
        self._known[client] = self._clock()
        self._known.move_to_end(client)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def knows(self, client: str) -> bool:
        seen = self._known.get(client)
        return seen is not None and self._clock() - seen < _KNOWN_SECONDS

    # ---- the blacklist ---------------------------------------------------------------------------------------------

    def refuse(self, client: str) -> Refuse | None:
        """What a client on the blacklist is told. It may be a mailbox's owner at a café, so it is told how long."""
        entry = self.blacklist.find(client)
        if entry is None:
            return None
        left = entry.until - self._now()
        if left == float("inf"):
            reply = Reply(554, "5.7.1", "Your address is blocked here; ask this server's postmaster by another way")
        else:
            #  A reason that a person wrote is for other operators.
            why = f": {entry.reason}" if entry.reason in _REASONS.values() else ""
            reply = Reply(421, "4.7.1", f"Your address is blocked here for {int(left // 60) + 1} min{why}")
        return Refuse(reply, f"blacklisted: {entry.reason}")

    def note(self, offence: Offence, client: str) -> bool:
        """One more; whether it was one too many, and the client is on the blacklist now."""
        meter = self._meters[offence]
        if meter is None or not meter.draw(client_key(client)):
            return False
        meter.forget(client_key(client))
        self.ban(client, _REASONS[offence], self.seconds)
        return True

    def ban(self, client: str, reason: str, seconds: float | None) -> None:
        self.blacklist.add(client, reason, seconds)
        log.event(events.CLIENT_BLACKLISTED, client=client, reason=reason, seconds=seconds)
