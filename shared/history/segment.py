"""One database file of the history: the lines of some hours or a day, found by queue id.

Lines are kept as the daemon wrote them into its records, and all that are filed at once in one row, a block, with
their queue ids beside them. A row and an index entry for each line cost three times as much, and lines are written a
thousand times more often than anybody searches; a block also goes into SQLite in one call, without the interpreter's
lock.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.history.follow import Position
from shared.history.selection import Block, Row, rows_of, texts_about

_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (ids TEXT NOT NULL, lines BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS position (records TEXT PRIMARY KEY, inode INTEGER NOT NULL, offset INTEGER NOT NULL);
"""
#  Octets: a block is long, and each page is two system calls. Pages of the log, before they go into the file: 4 MB.
_PAGE, _LOG = 16 * 1024, 256
#  How long a writer or a reader waits for the other; with WAL they hardly ever do.
_PATIENCE = 5.0
_NAME = re.compile(r"([a-z-]+)\.(\d{8}T\d{6})Z\.db(\.damaged)?")
_STAMP = "%Y%m%dT%H%M%S"


@dataclass(frozen=True, slots=True, order=True)
class SegmentFile:
    """`since` is when it was begun (Unix time): a line in it can be older only if it was read late."""

    since: float
    daemon: str
    path: Path
    size: int

    @property
    def is_damaged(self) -> bool:
        return self.path.suffix == ".damaged"

    def remove(self) -> None:
        """Raises OSError. A reader that has it open reads on."""
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)


def segments(folder: Path) -> list[SegmentFile]:
    """All there are, the oldest first. Raises OSError."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = []
    for text in names:
        if name := _NAME.fullmatch(text):
            try:
                size = os.stat(folder / text).st_size
            except FileNotFoundError:
                continue  #  removed meanwhile
            found.append(SegmentFile(_seconds(name[2]), name[1], folder / text, size))
    return sorted(found)


def segment_path(folder: Path, daemon: str, since: float) -> Path:
    return folder / f"{daemon}.{time.strftime(_STAMP, time.gmtime(since))}Z.db"


def _seconds(stamp: str) -> float:
    import calendar

    return float(calendar.timegm(time.strptime(stamp, _STAMP)))


class Segment:
    """For its one writer. Every method raises sqlite3.Error; used in one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            self._database.execute(f"PRAGMA page_size = {_PAGE}")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(f"PRAGMA wal_autocheckpoint = {_LOG}")
            #  A power cut may take the last seconds, which are read again from the records, and damages nothing.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except BaseException:
            self._database.close()
            raise

    def add(self, records: str, block: Block, position: Position) -> None:
        """The block and how far `records` are read: both, or neither."""
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            if block.lines:
                database.execute("INSERT INTO block VALUES (?, ?)", block)
            self._note(records, position)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _note(self, records: str, position: Position) -> None:
        self._database.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (records, *position))

    def take_over(self, positions: dict[str, Position]) -> None:
        """What the segment before knew."""
        for records, position in positions.items():
            self._note(records, position)

    def positions(self) -> dict[str, Position]:
        return _positions(self._database)

    def size(self) -> int:
        [[pages, octets]] = self._database.execute(
            "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
        )
        return int(pages) * int(octets)

    def finish(self) -> None:
        """Nothing more is added: from here on it is one file, which can be read where nothing can be written."""
        try:
            self._database.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._database.close()

    def close(self) -> None:
        self._database.close()


class Reading:
    """A segment for a reader, beside its writer. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def about(self, queue_ids: Collection[str]) -> Iterator[Row]:
        wanted = frozenset(queue_ids)
        for number, ids in self._database.execute("SELECT rowid, ids FROM block"):
            if here := wanted.intersection(ids.split(" ")):
                [[lines]] = self._database.execute("SELECT lines FROM block WHERE rowid = ?", (number,))
                yield from (row for row in rows_of(lines, texts_about(here)) if row[1] in here)

    def holding(self, texts: Collection[bytes], since: float, until: float) -> Iterator[Row]:
        """The lines in which at least one of `texts` stands, in upper or lower case of ASCII; all, without any."""
        for [lines] in self._database.execute("SELECT lines FROM block"):
            yield from (row for row in rows_of(lines, texts) if since <= row[0] <= until)

    def positions(self) -> dict[str, Position]:
        return _positions(self._database)


def _positions(database: sqlite3.Connection) -> dict[str, Position]:
    rows = database.execute("SELECT records, inode, offset FROM position")
    return {records: Position(inode, offset) for records, inode, offset in rows}
