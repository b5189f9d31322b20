"""What waits, by site and age, and why: looked at again and again beside the daemons.

Ages come from names, of which a lane may hold a million. Site and reason stand in the files; so many are opened at
one look, first those never seen, then those seen longest ago, and of larger queues the answer says how many it knows.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from shared.mail.record import dataclass
from shared.maildir.tree import listed
from shared.routing.lane import Lane
from shared.spool.names import parse_name, split_claimed
from shared.spool.queue_entry import QUEUED, QueueEntry, read_entry
from shared.spool.spool import Spool
from shared.survey.ages import LABELS, step_of
from shared.survey.reason import group_of

READ_AT_ONCE = 500
REMEMBERED = 100_000
MOST_PROBLEMS, MOST_DOMAINS = 30, 4
#  Looks take this part of the time at most, and one is good for so many seconds.
SHARE, FRESH = 0.05, 1.5


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of an entry by its file."""

    at: float
    site: str
    reason: str
    due: float
    domains: tuple[str, ...]


@dataclass(slots=True)
class Problem:
    site: str
    group: str
    reason: str
    count: int = 0
    next: float = float("inf")
    domains: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        domains = [domain for domain, _ in self.domains.most_common(MOST_DOMAINS)]
        return {
            "site": self.site,
            "group": self.group,
            "reason": self.reason,
            "count": self.count,
            "next": self.next,
            "domains": domains,
            "more": len(self.domains) - len(domains),
        }


@dataclass(slots=True)
class LaneCount:
    entries: int = 0
    active: int = 0
    octets: int = 0
    oldest: float | None = None


class Waiting:
    """`look` in one thread at a time."""

    def __init__(self, spool: Spool, clock: Callable[[], float] = time.time) -> None:
        self._spool = spool
        self._clock = clock
        self._facts: dict[str, Fact] = {}
        self._seen: dict[str, Any] = {}
        self._next = 0.0

    def look(self) -> dict[str, Any]:
        """As it is now, or was at the last look if that is not long ago."""
        now = self._clock()
        if now >= self._next:
            began = time.monotonic()
            self._seen = self._look(now)
            self._next = now + max(FRESH, (time.monotonic() - began) / SHARE)
        return self._seen

    def _look(self, now: float) -> dict[str, Any]:
        lanes = {lane: LaneCount() for lane in Lane}
        found: dict[str, tuple[int, Lane, str]] = {}
        beyond = [0] * len(LABELS)
        for lane in Lane:
            for name, path, is_active in _names(str(self._spool.folder(lane))):
                parts = parse_name(name)
                if parts is None:
                    continue
                count = lanes[lane]
                count.entries += 1
                count.active += is_active
                count.octets += parts.size
                count.oldest = min(count.oldest or parts.seconds, parts.seconds)
                if lane in QUEUED and len(found) >= REMEMBERED:
                    beyond[step_of(now - parts.seconds)] += 1
                elif lane in QUEUED:
                    found[f"{lane.word}/{name}"] = (parts.seconds, lane, path)
        self._read(found, now)
        return {
            "lanes": {lane.word: _as_json(count) for lane, count in lanes.items()},
            "ages": list(LABELS),
            "sites": self._by_site(found, beyond, now),
            "problems": self._problems(),
            "known": len(self._facts),
            "entries": len(found) + sum(beyond),
        }

    def _read(self, found: dict[str, tuple[int, Lane, str]], now: float) -> None:
        facts = {key: fact for key, fact in self._facts.items() if key in found}
        #  Never seen first, as they sort with 0.
        wanted = heapq.nsmallest(READ_AT_ONCE, found, key=lambda key: facts[key].at if key in facts else 0.0)
        for key in wanted:
            _, lane, path = found[key]
            entry = read_entry(self._spool, lane, path)
            if entry is not None:
                facts[key] = _fact_of(entry, now)
        self._facts = facts

    def _by_site(
        self, found: dict[str, tuple[int, Lane, str]], beyond: list[int], now: float
    ) -> list[dict[str, Any]]:
        """`?` is the site of those whose file has not been read, or never will be as there are too many."""
        counts: dict[str, list[int]] = {"?": list(beyond)} if any(beyond) else {}
        for key, (seconds, _, _) in found.items():
            fact = self._facts.get(key)
            row = counts.setdefault(fact.site if fact else "?", [0] * len(LABELS))
            row[step_of(now - seconds)] += 1
        return [{"site": site, "counts": row} for site, row in sorted(counts.items())]

    def _problems(self) -> list[dict[str, Any]]:
        problems: dict[tuple[str, str], Problem] = {}
        for fact in self._facts.values():
            if not fact.reason:
                continue
            group = group_of(fact.reason)
            problem = problems.setdefault((fact.site, group), Problem(fact.site, group, fact.reason))
            problem.count += 1
            problem.next = min(problem.next, fact.due)
            problem.domains.update(fact.domains)
        ordered = sorted(problems.values(), key=lambda problem: -problem.count)
        return [problem.as_json() for problem in ordered[:MOST_PROBLEMS]]


def _fact_of(entry: QueueEntry, now: float) -> Fact:
    domains = {address.rpartition("@")[2] for address in entry.recipients}
    site = entry.envelope.site if entry.envelope else ""
    return Fact(now, site, entry.last_error, entry.next_attempt, tuple(sorted(domains)[:MOST_DOMAINS]))


def _as_json(count: LaneCount) -> dict[str, Any]:
    return {"entries": count.entries, "active": count.active, "octets": count.octets, "oldest": count.oldest}


def _names(folder: str) -> Iterator[tuple[str, str, bool]]:
    for part in ("new", "cur"):
        try:
            for item in listed(f"{folder}/{part}"):
                is_active = part == "cur"
                yield split_claimed(item.name)[0] if is_active else item.name, item.path, is_active
        except OSError:
            continue  #  a spool that no daemon has used yet
