"""The keeper of the history: one thread in each daemon that reads what the daemon has recorded and files it.

The daemon writes its records as ever (shared/observe/sinks.py) and knows nothing of the history: a disk that is full,
slow or broken costs history, never mail, and a keeper that could not write goes on where it was, as long as the
records are kept. Each daemon has database files of its own, so that there is one writer to each and a damaged one is
one of many; workers have none, as their events stand in the records of their daemon. Old files are removed whole.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from shared.history.follow import Position, read_on
from shared.history.segment import Segment, SegmentFile, segment_path, segments
from shared.history.selection import block_of
from shared.mail.record import dataclass
from shared.observe import events

DAY = 86400.0
#  When the keeper looks for the first time, and how often from then on: whoever searches reads in the records what it
#  has not filed yet, and the more it finds at once the less a line costs. PAUSE is for a disk that failed.
FIRST, ROUND, PAUSE = 1.0, 5.0, 30.0
#  Between two chunks, so that a daemon that has much to read again still answers its clients.
BREATH = 0.01
#  Octets left to the mail when the history lies on the same disk.
LEFT_FREE = 64 * 1024 * 1024

_FAULTS = (OSError, sqlite3.Error)
Report = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds and octets; `size` is for the files of all daemons together."""

    keep: float = 30 * DAY
    size: int = 1024 * 1024 * 1024

    @property
    def span(self) -> float:
        """How long one file is written to: what is kept is right to an eighth, or to a day."""
        return min(DAY, self.keep / 8)

    @property
    def largest(self) -> int:
        return max(self.size // 16, 256 * 1024)


def free_octets(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


class Keeper:
    """`records` are the daemons whose record files in `source` it reads. `start` and `stop` once each."""

    def __init__(
        self,
        source: Path,
        folder: Path,
        records: tuple[str, ...],
        terms: Terms,
        report: Report,
        clock: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_octets,
    ) -> None:
        self.terms = terms
        self._source = source
        self._folder = folder
        self._records = records
        self._report = report
        self._clock = clock
        self._free = free
        self._segment: Segment | None = None
        self._since = 0.0
        self._positions: dict[str, Position] = {}
        self._is_in_trouble = False
        self._prune_at = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """What is in the records is filed; what comes later is at the next start."""
        self._ending.set()

    def stop(self, seconds: float = 2.0) -> None:
        """As `end`, and wait for it; not longer, as the disk may hang."""
        self.end()
        self._thread.join(seconds)

    def _work(self) -> None:
        seconds, is_last = FIRST, False
        while not is_last:
            is_last = self._ending.wait(seconds)
            self.round()
            seconds = PAUSE if self._is_in_trouble else ROUND
        self._close()

    def round(self) -> None:
        """File what is new. Never raises; trouble is said once, and so is its end."""
        try:
            self._file_all()
            self._prune()
        except _FAULTS as error:
            self._complain(error)
        except Exception as error:
            self._complain(error)
        else:
            if self._is_in_trouble:
                self._is_in_trouble = False
                self._report(events.HISTORY_BACK, path=str(self._folder))

    def _file_all(self) -> None:
        segment = self._open()
        for records in self._records:
            for piece, position in read_on(self._source, records, self._positions.get(records)):
                if self._is_over(segment):
                    segment = self._open_next()
                segment.add(records, block_of(piece), position)
                self._positions[records] = position
                self._ending.wait(BREATH)

    def _open(self) -> Segment:
        """The newest of ours, or the next one when its time is over."""
        if self._segment is not None:
            if not self._is_over(self._segment):
                return self._segment
            return self._open_next()
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._check_room()
        own = [file for file in segments(self._folder) if file.daemon == self._records[0] and not file.is_damaged]
        self._since = own[-1].since if own else self._clock()
        self._segment = Segment(own[-1].path if own else self._path_of_next())
        self._positions = self._segment.positions()
        return self._segment

    def _open_next(self) -> Segment:
        self._check_room()
        previous, self._segment = self._segment, None
        if previous is not None:
            previous.finish()
        self._since = self._clock()
        self._prune_at = 0.0
        self._segment = Segment(self._path_of_next())
        self._segment.take_over(self._positions)
        return self._segment

    def _path_of_next(self) -> Path:
        """Names tell seconds; a second segment in one second waits for the next."""
        path = segment_path(self._folder, self._records[0], self._since)
        while path.exists():
            self._since += 1
            path = segment_path(self._folder, self._records[0], self._since)
        return path

    def _is_over(self, segment: Segment) -> bool:
        return self._clock() >= self._since + self.terms.span or segment.size() >= self.terms.largest

    def _check_room(self) -> None:
        if (free := self._free(self._folder)) < LEFT_FREE:
            raise OSError(28, f"{free} octets are free, and {LEFT_FREE} are left to the mail")

    def _prune(self) -> None:
        """Files whose last line is too old; then the oldest, until the others fit."""
        if self._clock() < self._prune_at:
            return
        self._prune_at = self._clock() + PAUSE
        files = segments(self._folder)
        horizon = self._clock() - self.terms.keep
        newest = {file.daemon: file.path for file in files if not file.is_damaged}
        total = sum(file.size for file in files)
        for index, file in enumerate(files):
            if file.path == newest.get(file.daemon):
                continue
            if total > self.terms.size or self._end_of(file, files[index + 1 :]) < horizon:
                file.remove()
                total -= file.size

    @staticmethod
    def _end_of(file: SegmentFile, later: list[SegmentFile]) -> float:
        return next((other.since for other in later if other.daemon == file.daemon), file.since)

    def _complain(self, error: Exception) -> None:
        path = self._segment.path if self._segment is not None else self._folder
        self._close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._set_aside(path)
        if not self._is_in_trouble:
            self._is_in_trouble = True
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            self._report(events.HISTORY_TROUBLE, path=str(path), reason=reason)

    def _set_aside(self, path: Path) -> None:
        """A damaged file is kept as long as a whole one, for whoever wants to look."""
        own = [file for file in segments(self._folder) if file.daemon == self._records[0] and not file.is_damaged]
        if path == self._folder and own:
            path = own[-1].path
        try:
            if path.is_file():
                path.rename(path.with_name(path.name + ".damaged"))
                for end in ("-wal", "-shm"):
                    path.with_name(path.name + end).unlink(missing_ok=True)
        except OSError:
            pass  #  the next round meets it again and says so

    def _close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                segment.close()
            except sqlite3.Error:
                pass  #  what it had not written is read again
