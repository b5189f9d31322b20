"""Where events go: lines on a stream (stderr, which under systemd is the journal) and JSON lines in a file.

A line is put into a list; a thread writes the list a moment later in one system call. So neither a full pipe nor a
slow disk ever holds up the loop, and a busy daemon pays one write for hundreds of events. What is urgent does not
wait for the batch to fill. Not here: what the lines say (wording.py).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from shared.observe.events import EVENTS_LOST, Priority

BATCH_SECONDS = 0.2
BATCH_BYTES = 64 * 1024
#  A reader that stands still (a stopped terminal, a dead disk) costs this much memory, then events are counted only.
BACKLOG_BYTES = 16 * 1024 * 1024

ROTATE_AT = 32 * 1024 * 1024
KEPT = 4


class Sink(Protocol):
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Batch:
    """Lines on their way to `put`, which is called with many at once, by one thread at a time.

    Adding takes no lock, as every event of the loop comes by here: appending to a deque is one step for all threads,
    and the count of octets may be a line off when two threads meet.
    """

    def __init__(self, name: str, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._lost = 0
        self._put_lock = threading.Lock()
        self._wanted = threading.Event()
        self._hurry = threading.Event()
        self._is_called = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=f"events-{name}", daemon=True)
        self._thread.start()

    def add(self, line: str, is_urgent: bool = False) -> None:
        octets = self._bytes
        if octets > BACKLOG_BYTES:
            self._lost += 1
            return
        self._bytes = octets = octets + len(line)
        self._lines.append(line)
        if (octets >= BATCH_BYTES or is_urgent) and not self._hurry.is_set():
            self._hurry.set()
        #  Behind the append: who finds the thread called has his line taken by the flush that follows.
        if not self._is_called:
            self._is_called = True
            self._wanted.set()

    def flush(self) -> None:
        with self._put_lock:
            take = self._lines.popleft
            lines = [take() for _ in range(len(self._lines))]
            self._bytes, lost, self._lost = 0, self._lost, 0
            if lost:
                lines.append(f"{EVENTS_LOST} count={lost}\n" if not lines[0].startswith("{") else _lost_record(lost))
            if lines:
                self._put("".join(lines).encode("ascii", "backslashreplace"))

    def close(self) -> None:
        self._is_closed = True
        self._hurry.set()
        self._wanted.set()
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            self.flush()

    def _work(self) -> None:
        while not self._is_closed:
            self._wanted.wait()
            self._hurry.wait(BATCH_SECONDS)
            self._wanted.clear()
            self._hurry.clear()
            self._is_called = False
            self.flush()


def _lost_record(count: int) -> str:
    return f'{{"at":{time.time():.3f},"event":"{EVENTS_LOST}","count":{count}}}\n'


class TextStream:
    """Lines for people. Under systemd each begins with its priority as `<N>` (sd-daemon(3)) and the journal adds the
    time; elsewhere it begins with the time."""

    def __init__(self, descriptor: int, is_journal: bool) -> None:
        self._descriptor = descriptor
        self._is_journal = is_journal
        self._held: list[tuple[str, bool]] | None = None
        self._batch = Batch("text", self._put)

    @classmethod
    def for_stderr(cls) -> TextStream:
        return cls(2, is_journal="JOURNAL_STREAM" in os.environ)

    def write(self, line: str, at: float, priority: Priority) -> None:
        if self._is_journal:
            line = f"<{int(priority)}>{line}\n"
        elif priority is Priority.DEBUG:
            return
        else:
            line = f"{_clock_text(at)} {line}\n"
        is_urgent = priority <= Priority.ERROR
        if self._held is None:
            self._batch.add(line, is_urgent)
        else:
            self._held.append((line, is_urgent))

    def hold(self) -> None:
        """Keep lines back while a daemon starts: what keeps it from starting shall be one line, not the tenth."""
        self._held = []

    def release(self, is_wanted: bool = True) -> None:
        """Write what was held back, or drop it (the records have it)."""
        held, self._held = self._held, None
        for line, is_urgent in held if held and is_wanted else ():
            self._batch.add(line, is_urgent)

    def flush(self) -> None:
        self._batch.flush()

    def close(self) -> None:
        self._batch.close()

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass  # the terminal is closed; mail goes on


_last_second = (0, "")


def _clock_text(at: float) -> str:
    """RFC 3339, UTC, milliseconds; the part up to the second is kept, as it is the same for hundreds of lines."""
    global _last_second
    second = int(at)
    known, text = _last_second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last_second = (second, text)
    return f"{text}.{int((at - second) * 1000):03d}Z"


class RecordFile:
    """`<folder>/<daemon>.jsonl`, turned over at 32 MiB, with `.1` (newest) to `.4` kept beside it.

    Several processes may append to it: a batch of whole lines is one write with O_APPEND. Each looks before it writes
    whether the name still means its file, so a file that someone removed or turned over is opened anew.
    """

    def __init__(self, path: Path, rotate_at: int = ROTATE_AT, kept: int = KEPT) -> None:
        self.path = path
        self._rotate_at = rotate_at
        self._kept = kept
        self._descriptor = self._open()
        self._batch = Batch("records", self._put)

    def write(self, line: str) -> None:
        self._batch.add(line + "\n")

    def flush(self) -> None:
        self._batch.flush()

    def close(self) -> None:
        self._batch.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        folder = self.path.parent
        if not folder.exists():
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            _give(folder, folder.parent)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        _give(descriptor, folder)
        return descriptor

    def _put(self, data: bytes) -> None:
        try:
            if self._descriptor < 0 or not self._is_current():
                self._reopen()
            if os.fstat(self._descriptor).st_size >= self._rotate_at:
                self._turn_over()
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass  # a full disk costs records, not mail; the same lines went to the text stream

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _reopen(self) -> None:
        previous, self._descriptor = self._descriptor, -1
        if previous >= 0:
            os.close(previous)
        self._descriptor = self._open()

    def _turn_over(self) -> None:
        """Under a lock on the file itself, so that of several writers one renames and the others see it done."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if self._is_current():
            for number in range(self._kept - 1, 0, -1):
                older = Path(f"{self.path}.{number}")
                if older.exists():
                    older.rename(f"{self.path}.{number + 1}")
            self.path.rename(f"{self.path}.1")
        self._reopen()


def _give(made: Path | int, folder: Path) -> None:
    """What root makes here, by a command, belongs to whoever `folder` belongs to: the daemons have to write there."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.chown(made, owner.st_uid, owner.st_gid)


def record_files(folder: Path) -> list[Path]:
    """All record files in `folder`, turned-over ones too, the oldest of each daemon first."""

    def age(path: Path) -> tuple[str, int]:
        stem, _, number = path.name.partition(".jsonl")
        return stem, -int(number[1:] or 0)

    found = [path for path in folder.glob("*.jsonl*") if path.suffix == ".jsonl" or path.suffix[1:].isdigit()]
    return sorted(found, key=age)
