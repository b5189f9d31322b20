"""The story of a message: the trails of its entries and the daemons' events about it, merged by time.

An attempt stands in both, as the trail must survive a power cut and the events a retired entry; the twin is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from shared.history.search import History
from shared.mail.record import dataclass
from shared.observe.events import MESSAGE_ACCEPTED
from shared.routing.lane import Lane
from shared.spool.queue_entry import list_entries
from shared.spool.spool import Spool
from shared.spool.trail import Trail

#  The trail is written, then the event; with a sync in between they are this far apart at most.
TWIN_SECONDS = 5.0
#  The event about a recipient is named after the line in the trail.
_TWIN_PREFIX = "recipient-"
_ARRIVED = "arrived"
#  Not in the event list: what `message-bounced` and the like are in the story of the report.
REPORTED = "made to report about a message"


@dataclass(frozen=True, slots=True)
class Step:
    """`event` is a name of the trail or of the event list; `fields` is what else was said."""

    at: float
    daemon: str
    event: str
    fields: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"at": self.at, "daemon": self.daemon, "event": self.event, **self.fields}


def tell(spool: Spool, history: History, queue_id: str) -> list[Step]:
    """All steps of the message, the oldest first."""
    trail = list(_from_trails(spool, queue_id))
    told = [step for step in _from_events(history, queue_id) if not _has_twin(step, trail)]
    if any(step.event == MESSAGE_ACCEPTED for step in told):
        #  The event says more than the envelope does.
        trail = [step for step in trail if step.event != _ARRIVED]
    #  The first attempt may be quicker than the 250; still the message came before it went.
    return sorted(trail + told, key=lambda step: (step.event not in (_ARRIVED, MESSAGE_ACCEPTED), step.at))


def _from_trails(spool: Spool, queue_id: str) -> Iterator[Step]:
    has_arrived = False
    for entry in list_entries(spool, tuple(Lane), lambda parts: parts.id == queue_id):
        if entry.envelope and not has_arrived:
            has_arrived = True
            envelope = entry.envelope
            fields = {
                "sender": entry.sender or "<>",
                "client": envelope.client,
                "size": entry.size,
                "cause": envelope.cause,
            }
            yield Step(entry.arrived, "mercury-s", _ARRIVED, {key: value for key, value in fields.items() if value})
        for record in Trail(f"{spool.folder(entry.lane)}/trail/{entry.name}").records:
            fields = {key: getattr(record, key) for key in ("recipient", "reply", "host", "detail")}
            yield Step(record.at, record.daemon, record.event, {key: value for key, value in fields.items() if value})


def _from_events(history: History, queue_id: str) -> Iterator[Step]:
    """The line in which a report was made belongs to the story of the report, too, with the message it is about."""
    for _, _, line in history.about(queue_id):
        yield from _parse(line, queue_id)


def _parse(line: str, queue_id: str) -> Iterator[Step]:
    try:
        fields = json.loads(line)
        at, daemon, event = float(fields.pop("at")), str(fields.pop("daemon")), str(fields.pop("event"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # a line torn by a power cut
    if (about := fields.pop("id", "")) != queue_id:
        fields = {"cause": about}
        event = REPORTED
    yield Step(at, daemon, event, fields)


def _has_twin(told: Step, trail: list[Step]) -> bool:
    name = told.event.removeprefix(_TWIN_PREFIX)
    if told.event == "operator-acted":
        name = str(told.fields.get("action"))
    recipient = told.fields.get("recipient", "")
    return any(
        step.event == name
        and step.fields.get("recipient", "") == recipient
        and abs(step.at - told.at) <= TWIN_SECONDS
        for step in trail
    )
