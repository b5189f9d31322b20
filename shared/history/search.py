"""Searching the history: the lines of one message, and the messages for which something was said.

Reads the database files beside their writers, and behind them the records that are not filed yet. A file that cannot
be read is told to `complain` and passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from shared.history.follow import Position, read_on
from shared.history.segment import Reading, Row, SegmentFile, segments
from shared.history.selection import rows_of
from shared.observe.sinks import record_files

#  A line is filed soon after it was said; a daemon that was down files at its next start, but then all is in order.
_SLACK = 3600.0
FOREVER = float("inf")

Complain = Callable[[Path, Exception], object]


class History:
    """`folder` holds the database files, `records` the record files."""

    def __init__(self, folder: Path, records: Path, complain: Complain = lambda path, error: None) -> None:
        self._folder = folder
        self._records = records
        self._complain = complain

    def about(self, queue_id: str) -> list[Row]:
        """All that is known of the message, in no order; a line that was filed twice stands there once."""
        filed = self._read(self._files(0.0, FOREVER), lambda reading: reading.about(queue_id))
        fresh = (row for row in self._fresh((f'"{queue_id}"',)) if row[1] == queue_id)
        return list(dict.fromkeys([*filed, *fresh]))

    def holding(self, texts: Iterable[str], since: float = 0.0, until: float = FOREVER) -> Iterator[Row]:
        """Lines in which at least one of `texts` (ASCII, as JSON has them) stands; the newest files first."""
        texts = tuple(texts)
        for at, queue_id, line in self._fresh(texts):
            if since <= at <= until:
                yield at, queue_id, line
        files = self._files(since, until)[::-1]
        yield from self._read(files, lambda reading: reading.holding(texts, since, until))

    def _files(self, since: float, until: float) -> list[SegmentFile]:
        files = [file for file in self._segments() if not file.is_damaged]
        wanted = []
        for index, file in enumerate(files):
            end = next((other.since for other in files[index + 1 :] if other.daemon == file.daemon), FOREVER)
            #  The first file of a daemon may hold what was recorded before there was a history.
            is_first = all(other.daemon != file.daemon for other in files[:index])
            if end + _SLACK >= since and (is_first or file.since - _SLACK <= until):
                wanted.append(file)
        return wanted

    def _segments(self) -> list[SegmentFile]:
        try:
            return segments(self._folder)
        except OSError as error:
            self._complain(self._folder, error)
            return []

    def _read(self, files: Iterable[SegmentFile], ask: Callable[[Reading], Iterator[Row]]) -> Iterator[Row]:
        for file in files:
            try:
                with Reading(file.path) as reading:
                    yield from ask(reading)
            except sqlite3.Error as error:
                if file.path.exists():
                    self._complain(file.path, error)

    def _fresh(self, texts: tuple[str, ...]) -> Iterator[Row]:
        """Records that no keeper has filed yet, or that nobody ever will as the history is off."""
        positions = self._positions()
        lowered = [text.lower() for text in texts]
        stems = dict.fromkeys(path.name.partition(".jsonl")[0] for path in record_files(self._records))
        for stem in stems:
            try:
                for lines, _ in read_on(self._records, stem, positions.get(stem)):
                    if lowered:
                        lines = [line for line in lines if any(text in line.lower() for text in lowered)]
                    yield from rows_of(lines)
            except OSError as error:
                self._complain(self._records / f"{stem}.jsonl", error)

    def _positions(self) -> dict[str, Position]:
        """How far the newest file of each daemon has come."""
        found: dict[str, Position] = {}
        for file in {file.daemon: file for file in self._segments() if not file.is_damaged}.values():
            try:
                with Reading(file.path) as reading:
                    found |= reading.positions()
            except sqlite3.Error as error:
                self._complain(file.path, error)
        return found
