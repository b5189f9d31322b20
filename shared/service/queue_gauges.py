"""What stands in the queue, for the metrics: by lane, site and state, with size and age.

By names alone, as a lane may hold a million; only the site stands in the file, which is read once for each entry, so
many at a time. Until all are read, and in lanes of more than can be remembered, the sites are an estimate.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator

from shared.maildir.tree import READ, listed
from shared.observe import metrics
from shared.observe.metrics import Counts
from shared.routing.lane import Lane
from shared.spool.names import parse_name, split_claimed
from shared.spool.record import RecordError, parse_record, record_size
from shared.spool.spool import Spool

#  Files that are opened at one look, and entries whose site is remembered.
READ_AT_ONCE = 500
REMEMBERED = 100_000
#  Looks take this part of the time at most, and one is good for so many seconds.
SHARE = 0.02
FRESH = 10.0

_RESTING = {Lane.HOLD: "held", Lane.TRASH: "trash"}


class QueueGauges:
    """`look` in any one thread at a time."""

    def __init__(self, spool: Spool, clock: Callable[[], float] = time.time) -> None:
        self._spool = spool
        self._clock = clock
        self._sites: dict[str, str] = {}
        self._seen = Counts()
        self._next = 0.0

    def look(self) -> Counts:
        """As it is now, or was at the last look if that is not long ago."""
        now = self._clock()
        if now < self._next:
            return self._seen
        began = time.monotonic()
        counts, budget = Counts(), READ_AT_ONCE
        known: dict[str, str] = {}
        for lane in Lane:
            budget = self._look_at(lane, counts, known, budget, now)
        self._sites = known
        try:
            counts.put(metrics.FREE, self._spool.free_bytes())
        except OSError:
            pass  #  no number is better than a wrong one
        self._seen = counts
        self._next = now + max(FRESH, (time.monotonic() - began) / SHARE)
        return counts

    def _look_at(self, lane: Lane, counts: Counts, known: dict[str, str], budget: int, now: float) -> int:
        folder = str(self._spool.folder(lane))
        tried = {name for name, _ in _names(f"{folder}/trail")}
        total, octets, oldest = Counter[str](), 0, now
        by_site: Counter[tuple[str, str]] = Counter()
        for part in ("new", "cur"):
            for file_name, path in _names(f"{folder}/{part}"):
                name = split_claimed(file_name)[0] if part == "cur" else file_name
                parts = parse_name(name)
                if parts is None:
                    continue
                state = (
                    "active" if part == "cur" else _RESTING.get(lane) or ("deferred" if name in tried else "waiting")
                )
                total[state] += 1
                octets += parts.size
                oldest = min(oldest, parts.seconds)
                site = self._sites.get(name)
                if site is None and budget > 0:
                    budget -= 1
                    site = _site_of(path)
                if site is not None:
                    by_site[state, site] += 1
                    if len(known) < REMEMBERED:
                        known[name] = site
        counts.put(metrics.QUEUE_OCTETS, octets, lane.word)
        counts.put(metrics.QUEUE_OLDEST, max(now - oldest, 0.0), lane.word)
        _put_sites(counts, lane, total, by_site)
        return budget


def _put_sites(counts: Counts, lane: Lane, total: Counter[str], by_site: Counter[tuple[str, str]]) -> None:
    """Those whose site is not known yet are shared out as the others are."""
    states = (_RESTING[lane],) if lane in _RESTING else ("waiting", "deferred")
    for state in (*states, "active"):
        sites = {site: count for (its, site), count in by_site.items() if its == state}
        seen = sum(sites.values())
        if not seen:
            counts.put(metrics.QUEUE, total[state], lane.word, "", state)
        for site, count in sites.items():
            counts.put(metrics.QUEUE, round(count * total[state] / seen), lane.word, site, state)


def _names(folder: str) -> Iterator[tuple[str, str]]:
    try:
        for entry in listed(folder):
            yield entry.name, entry.path
    except OSError:
        return  #  a spool that no daemon has used yet


def _site_of(path: str) -> str | None:
    """None: it is gone, or not readable; then it is a matter of its daemon."""
    try:
        descriptor = os.open(path, READ)
        try:
            data = os.read(descriptor, 4096)
            missing = record_size(data) - len(data)
            if missing > 0:
                data += os.pread(descriptor, missing, len(data))
        finally:
            os.close(descriptor)
        return parse_record(data)[0].site
    except (OSError, RecordError):
        return None
