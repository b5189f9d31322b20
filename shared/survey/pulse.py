"""What the daemons say, as it comes: their last lines, what went through in each minute, and what was a warning.

Reads on in the record files (shared/observe/sinks.py). A line is taken apart by its quotation marks, as there may be
thousands a second; only lines that are shown are parsed. What lies before the last megabytes of a file is not read:
after a start the plot may begin later than a day ago, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.history.follow import Position, lines_of, read_on
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.events import Priority

DAEMONS = ("mercury-s", "mercury-c", "mercury-e")
LINES = 40
LONGEST_LINE = 400
#  Octets of each file that are read at the start.
BACK = 8 * 1024 * 1024
MINUTE, DAY = 60, 1440  #  seconds; minutes
#  Warnings of this long ago are shown.
RECENT = 3600.0

RECEIVED, DELIVERED, DEFERRED, FAILED, REFUSED = range(5)
SERIES = ("received", "delivered", "deferred", "failed", "refused")
_COUNTED = {
    str(events.MESSAGE_ACCEPTED): RECEIVED,
    str(events.RECIPIENT_DELIVERED): DELIVERED,
    str(events.RECIPIENT_DEFERRED): DEFERRED,
    str(events.RECIPIENT_FAILED): FAILED,
    str(events.SESSION_REFUSED): REFUSED,
    str(events.HELO_REFUSED): REFUSED,
    str(events.SENDER_REFUSED): REFUSED,
    str(events.RECIPIENT_REFUSED): REFUSED,
    str(events.MESSAGE_REFUSED): REFUSED,
    str(events.LOGIN_REFUSED): REFUSED,
}


class Pulse:
    """`beat` in one thread at a time; what it tells is read behind it in the same thread."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._positions: dict[str, Position | None] = {}
        self._lines: dict[str, deque[str]] = {daemon: deque(maxlen=LINES) for daemon in DAEMONS}
        self._minutes: dict[int, list[int]] = {}
        self._warnings: deque[tuple[float, str, str]] = deque(maxlen=1000)
        self._since = clock()

    def beat(self) -> None:
        """Read what has been said since the last time. A file that cannot be read is passed over."""
        for daemon in DAEMONS:
            try:
                if daemon not in self._positions:
                    self._positions[daemon] = _near_the_end(self._folder / f"{daemon}.jsonl")
                for piece, position in read_on(self._folder, daemon, self._positions[daemon]):
                    self._positions[daemon] = position
                    self._hear(daemon, lines_of(piece))
            except OSError:
                continue
        oldest = int(self._clock() // MINUTE) - DAY
        for minute in [minute for minute in self._minutes if minute < oldest]:
            del self._minutes[minute]

    def consoles(self) -> dict[str, list[dict[str, Any]]]:
        """The last lines of each daemon, the newest last."""
        return {daemon: [_shown(line) for line in lines] for daemon, lines in self._lines.items()}

    def plot(self) -> dict[str, Any]:
        """Counts for each minute of the last hour and each quarter of the last day; the last is not over yet."""
        now = int(self._clock() // MINUTE)
        none = [0] * len(SERIES)
        hour = [self._minutes.get(minute, none) for minute in range(now - 59, now + 1)]
        first = now - now % 15 - 95 * 15
        day = [
            [sum(self._minutes.get(minute, none)[kind] for minute in range(start, start + 15)) for kind in range(5)]
            for start in range(first, now + 1, 15)
        ]
        return {
            "series": list(SERIES),
            "until": now * MINUTE,
            "since": self._since,
            "hour": list(zip(*hour, strict=True)),
            "day": list(zip(*day, strict=True)),
        }

    def warnings(self) -> list[dict[str, Any]]:
        """By event, the most frequent first: how often within the last hour, and what was said last."""
        since = self._clock() - RECENT
        recent = [warning for warning in self._warnings if warning[0] >= since]
        last = {event: (at, line) for at, event, line in recent}
        counts = Counter(event for _, event, _ in recent)
        return [
            {
                "event": event,
                "meaning": events.named(event).meaning,
                "count": count,
                "at": last[event][0],
                "text": _shown(last[event][1])["text"],
            }
            for event, count in counts.most_common(12)
        ]

    def _hear(self, daemon: str, lines: list[str]) -> None:
        console = self._lines[daemon]
        for line in lines:
            #  {"at":1795456686.250,"daemon":"mercury-s","event":"message-accepted","id":"7Q2M-K4ZC",...
            parts = line.split('"', 11)
            if len(parts) < 11 or parts[1] != "at" or parts[7] != "event":
                continue
            name = parts[9]
            priority = events.named(name).priority if name not in _COUNTED else Priority.INFO
            if priority < Priority.DEBUG:
                console.append(line)
            try:
                at = float(parts[2][1:-1])
            except ValueError:
                continue
            self._since = min(self._since, at)
            if (kind := _COUNTED.get(name)) is not None:
                self._minutes.setdefault(int(at // MINUTE), [0] * len(SERIES))[kind] += 1
            elif priority <= Priority.WARNING:
                self._warnings.append((at, name, line))


def _near_the_end(path: Path) -> Position | None:
    """Behind the first line end in the last part of the file; None: from the beginning. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_size <= BACK:
            return Position(status.st_ino, 0)
        start = status.st_size - BACK
        return Position(status.st_ino, start + os.pread(descriptor, 65536, start).find(b"\n") + 1)
    finally:
        os.close(descriptor)


def _shown(line: str) -> dict[str, Any]:
    """Time, queue id, and the rest as people read it."""
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"at": 0.0, "event": "", "id": "", "text": printable(line)[:LONGEST_LINE]}
    at, event = fields.pop("at", 0.0), fields.pop("event", "")
    fields.pop("daemon", None)
    text = " ".join(f"{key}={printable(str(value))}" for key, value in fields.items() if key != "traceback")
    return {"at": at, "event": event, "id": str(fields.get("id", "")), "text": text[:LONGEST_LINE]}
