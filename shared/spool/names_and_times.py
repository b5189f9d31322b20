"""The names in a folder with their times, as fast as a cold disk gives them: a lane is met with a million entries.

A folder lists its names in no order, and a disk takes its time for files in no order: so the times are read in the
order of the inodes, a portion at a time. Nothing is opened. Not here: what the names and times mean (lane.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from shared.maildir.tree import listed

#  Names that are held at a time to be looked at in an order that suits the disk.
SORTED_AT_ONCE = 100_000
#  Threads that read times side by side, and how many each takes at one go.
READERS, TIMES_AT_ONCE = 2, 2000

Portion = list[tuple[int, str]]
Dated = list[tuple[str, float]]


def names_and_times(folder: str, is_cold: bool) -> Iterator[tuple[str, float]]:
    """Raises OSError when the folder cannot be read. What is gone before its time is read is left out.

    `is_cold`: most of it has to come from the disk. Then several threads wait for that, where a single one would be
    quicker at what is in memory, and leaves more to others.
    """
    entries = ((entry.inode(), entry.name) for entry in listed(folder))
    portion = _next_portion(entries)
    if is_cold and len(portion) == SORTED_AT_ONCE:
        yield from _side_by_side(folder, portion, entries)
        return
    while portion:
        for _, name in portion:
            try:
                yield name, os.lstat(f"{folder}/{name}").st_mtime
            except OSError:
                continue  #  Claimed by somebody else since the folder was read.
        portion = _next_portion(entries)


def _side_by_side(folder: str, portion: Portion, entries: Iterator[tuple[int, str]]) -> Iterator[tuple[str, float]]:
    """The same with the next portion being listed and the next times being read meanwhile."""
    pool = ThreadPoolExecutor(READERS + 1, thread_name_prefix="scan")
    try:
        while portion:
            following = pool.submit(_next_portion, entries)
            read: deque[Future[Dated]] = deque()
            for start in range(0, len(portion), TIMES_AT_ONCE):
                read.append(pool.submit(_times_of, folder, portion[start : start + TIMES_AT_ONCE]))
                if len(read) > READERS:
                    yield from read.popleft().result()
            while read:
                yield from read.popleft().result()
            portion = following.result()
    finally:
        #  Who gives up must not wait for a disk that hangs.
        pool.shutdown(wait=False, cancel_futures=True)


def _next_portion(entries: Iterator[tuple[int, str]]) -> Portion:
    return sorted(islice(entries, SORTED_AT_ONCE))


def _times_of(folder: str, portion: Portion) -> Dated:
    dated: Dated = []
    for _, name in portion:
        try:
            dated.append((name, os.lstat(f"{folder}/{name}").st_mtime))
        except OSError:
            continue
    return dated
