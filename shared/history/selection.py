"""Which lines of the records are kept: what happened to messages, and whoever was turned away.

A line is taken apart by its quotation marks, which is enough for what wording.py writes and a tenth of the work of
parsing it: this is done for every event of a daemon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.history.segment import Row
from shared.observe import events

#  Events that are about no message yet; of all others those that name a queue id are kept.
KEPT = frozenset(
    {
        events.SESSION_REFUSED,
        events.SESSION_TIMED_OUT,
        events.LIMIT_REACHED,
        events.CLIENT_BLACKLISTED,
        events.PROXY_REFUSED,
        events.HELO_REFUSED,
        events.SENDER_REFUSED,
        events.RECIPIENT_REFUSED,
        events.MESSAGE_REFUSED,
        events.LOGIN_REFUSED,
        events.PICKUP_REFUSED,
    }
)


def rows_of(lines: Iterable[str]) -> Iterator[Row]:
    """A line about a report is kept twice: for the report, and for the message that it is about."""
    for line in lines:
        #  {"at":1795456686.250,"daemon":"mercury-s","event":"message-accepted","id":"7Q2M-K4ZC",...
        parts = line.split('"', 14)
        if len(parts) < 11 or parts[1] != "at" or parts[7] != "event":
            continue  #  torn by a power cut, or not ours
        if parts[11:12] == ["id"]:
            queue_id: str | None = parts[13]
        else:
            queue_id = _value(line, "id")
        if queue_id is None and parts[9] not in KEPT:
            continue
        try:
            at = float(parts[2][1:-1])
        except ValueError:
            continue
        yield at, queue_id, line
        if '"report":"' in line and (report := _value(line, "report")):
            yield at, report, line


def _value(line: str, name: str) -> str | None:
    """A quotation mark inside a value has a backslash before it, so no value can look like a name."""
    start = line.find(f',"{name}":"')
    if start < 0:
        return None
    start += len(name) + 5
    return line[start : line.find('"', start)]
