"""Searching the history: the lines of one message, and the messages for which something was said.

Reads the database files beside their writers, and behind them the records that are not filed yet. A file that cannot
be read is told to `complain` and passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from shared.history.follow import Position, read_on
from shared.history.segment import Reading, SegmentFile, segments
from shared.history.selection import Row, rows_of, texts_about
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
        return self.about_all((queue_id,))[queue_id]

    def about_all(self, queue_ids: Collection[str]) -> dict[str, list[Row]]:
        """The same of many, in one reading."""
        found: dict[str, dict[Row, None]] = {queue_id: {} for queue_id in queue_ids}
        #  The records first: what is filed meanwhile is met twice, not missed.
        fresh = [row for row in self._fresh(texts_about(found)) if row[1] in found]
        for row in (*fresh, *self._read(self._files(0.0, FOREVER), lambda reading: reading.about(found))):
            found[str(row[1])][row] = None
        return {queue_id: list(rows) for queue_id, rows in found.items()}

    def holding(self, texts: Iterable[str], since: float = 0.0, until: float = FOREVER) -> Iterator[Row]:
        """Lines in which at least one of `texts` (ASCII, as JSON has them) stands; the newest files first."""
        lowered = [text.lower().encode() for text in texts]
        yield from (row for row in self._fresh(lowered) if since <= row[0] <= until)
        files = self._files(since, until)[::-1]
        yield from self._read(files, lambda reading: reading.holding(lowered, since, until))

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

    def _fresh(self, texts: Collection[bytes]) -> Iterator[Row]:
        """Records that no keeper has filed yet, or that nobody ever will as the history is off."""
        positions = self._positions()
        stems = dict.fromkeys(path.name.partition(".jsonl")[0] for path in record_files(self._records))
        for stem in stems:
            try:
                for piece, _ in read_on(self._records, stem, positions.get(stem)):
                    yield from rows_of(piece, texts)
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
