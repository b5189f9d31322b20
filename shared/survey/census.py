"""A census of a lane: how much waits, for how long and where for, by names alone, so that a million take a second.

What only the files know (the recipients) is told by a sample. Not here: single entries (entries.py).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from functools import partial

from shared.mail.record import dataclass
from shared.maildir.tree import listed
from shared.routing.lane import Lane
from shared.spool.queue_entry import read_entry
from shared.spool.spool import Spool

#  A lane of up to this many is read as a whole; of a larger one half as many and more, evenly, or as many as can be
#  read in this time: from a cold disk each costs milliseconds.
SAMPLE, SECONDS = 256, 0.2
AT_LEAST = 16
MOST_DOMAINS = 5
#  Octets of a folder, which are those of its names: of some ten thousand.
LARGE = 1 << 20


@dataclass(frozen=True, slots=True)
class Census:
    """`octets` are those of the files. `deferred` are entries with a trail: they had an attempt that did not finish.
    `domains` are how many recipients wait for each, the most first; an estimate when `sampled` is below `entries`."""

    entries: int = 0
    active: int = 0
    deferred: int = 0
    octets: int = 0
    oldest: float | None = None
    sampled: int = 0
    domains: Mapping[str, int] = field(default_factory=dict)


class _Sample:
    """Every so-manieth name; how many that is doubles as they come."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._stride, self._next = 1, 0

    def offer(self, number: int, folder: str, part: str, name: str) -> None:
        if number == self._next:
            self.paths.append(f"{folder}/{part}/{name}")
            if len(self.paths) > SAMPLE:
                del self.paths[1::2]
                self._stride *= 2
            self._next = number + self._stride - number % self._stride


def count_entries(spool: Spool, lane: Lane) -> Census:
    """Entries, active ones, octets and the oldest, and no more: half the work. Raises OSError."""
    return _count_entries(str(spool.folder(lane)), with_sample=False)[0]


def take_census(spool: Spool, lane: Lane, with_domains: bool = True) -> Census:
    """Raises OSError when the lane cannot be read. A spool that no daemon has used yet is empty."""
    folder = str(spool.folder(lane))
    trails = _counted_beside(f"{folder}/trail") if _is_large(folder) else partial(_count, f"{folder}/trail")
    counted, paths = _count_entries(folder, with_domains)
    deferred = min(trails(), counted.entries)
    if not counted.entries:
        return counted
    domains, sampled = _domains(spool, lane, paths, counted.entries)
    return replace(counted, deferred=deferred, sampled=sampled, domains=domains)


def _is_large(folder: str) -> bool:
    try:
        return os.stat(f"{folder}/new").st_size >= LARGE
    except FileNotFoundError:
        return False


def _counted_beside(folder: str) -> Callable[[], int]:
    """Counts in a process of its own, and says how many there are when it is called: once.

    To list a large folder is work for a processor and, on a cold disk, waiting for one block after the other. Two
    processes do two folders in the time of one; threads would take turns.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, b"%d" % _count(folder))
        finally:
            os._exit(0)
    os.close(writing)

    def count() -> int:
        with open(reading, "rb") as told:
            said = told.read()
        os.waitpid(child, 0)
        #  It could not: so that our caller learns why.
        return int(said) if said else _count(folder)

    return count


def _count_entries(folder: str, with_sample: bool) -> tuple[Census, list[str]]:
    """What the names say, and the paths of the sample."""
    sample = _Sample()
    entries = octets = resting = 0
    oldest = float("inf")
    for part in ("new", "cur"):
        resting = entries
        for name in _names(f"{folder}/{part}"):
            try:
                seconds = int(name[: name.index(".")])
                octets += int(name[name.index(",S=") + 3 :].partition(",")[0])
            except ValueError:
                continue  #  a foreign name: the daemon sets it aside
            if seconds < oldest:
                oldest = seconds
            if with_sample:
                sample.offer(entries, folder, part, name)
            entries += 1
    if not entries:
        return Census(), []
    return Census(entries, entries - resting, octets=octets, oldest=oldest), sample.paths


def _count(folder: str) -> int:
    return sum(1 for _ in _names(folder))


def _names(folder: str) -> Iterator[str]:
    try:
        for entry in listed(folder):
            yield entry.name
    except FileNotFoundError:
        return


def _domains(spool: Spool, lane: Lane, paths: list[str], entries: int) -> tuple[dict[str, int], int]:
    counts: Counter[str] = Counter()
    sampled = 0
    ends = time.monotonic() + SECONDS
    for path in paths:
        if len(paths) < entries and sampled >= AT_LEAST and time.monotonic() > ends:
            break
        if (entry := read_entry(spool, lane, path)) is not None:
            sampled += 1
            counts.update(address.rpartition("@")[2] for address in entry.recipients)
    share = entries / sampled if sampled and len(paths) < entries else 1.0
    return {domain: round(count * share) for domain, count in counts.most_common(MOST_DOMAINS)}, sampled
