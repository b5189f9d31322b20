"""A part of the queue as a list: by lane, site, step of age, reason, or words in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.mail.record import dataclass
from shared.routing.lane import Lane
from shared.spool.names import EntryName
from shared.spool.queue_entry import QUEUED, QueueEntry, list_entries
from shared.spool.spool import Spool
from shared.survey.ages import step_of
from shared.survey.reason import group_of

#  However large the queue: what has not been read by then is left out, and the answer says so.
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Listing:
    """What is empty or None selects everything. `group` is of shared/survey/reason.py, `step` of ages.py."""

    lanes: tuple[Lane, ...] = QUEUED
    site: str | None = None
    step: int | None = None
    group: str = ""
    text: str = ""

    def read(self, spool: Spool, limit: int, now: float) -> tuple[list[QueueEntry], bool]:
        """The oldest of each lane first, and whether there are more."""
        found: list[QueueEntry] = []
        ends = time.monotonic() + SECONDS
        for entry in list_entries(spool, self.lanes, self._is_wanted(now)):
            if time.monotonic() > ends:
                return found, True
            if self._matches(entry):
                if len(found) >= limit:
                    return found, True
                found.append(entry)
        return found, False

    def _is_wanted(self, now: float) -> Callable[[EntryName], bool]:
        return lambda parts: self.step is None or step_of(now - parts.seconds) == self.step

    def _matches(self, entry: QueueEntry) -> bool:
        if self.site is not None and (entry.envelope.site if entry.envelope else "") != self.site:
            return False
        if self.group and group_of(entry.last_error) != self.group:
            return False
        if not self.text:
            return True
        told = " ".join((entry.id, entry.sender, *entry.recipients, *entry.settled, entry.last_error))
        return self.text.casefold() in told.casefold()


def describe(entry: QueueEntry) -> dict[str, Any]:
    """As `mercury queue show --json`, without where it lies."""
    envelope = entry.envelope
    more = {"site": envelope.site, "login": envelope.login, "client": envelope.client} if envelope else {}
    return {**entry.as_json(), **more}
