"""Group commit: files become durable and visible together, one sync of each folder for all of them.

One thread. Batches form by themselves: what is submitted while a batch is on its way to the disk is the next
batch, and what one wave of the loop brings goes together; there is no window of time. The steps D1 to D5 of
docs/spool.md are the phases of `commit_batch`; with a `FileSystem`, one call takes the place of the syncs of D2.
Not here: what the files hold, and the writing of large ones while they arrive (shared/maildir/spill.py).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident

from shared.maildir.file_system import FileSystem
from shared.maildir.spill import Writer
from shared.maildir.tree import CREATE, close_quietly, forget_file, sync_folder
from shared.maildir.write import start_write_back, write_pieces

#  Every file of a batch holds a descriptor; a batch of this size has all the gain there is.
LARGEST_BATCH = 128
#  From so many files on, one sync of the whole file system is cheaper than theirs (benchmarks/commit_ways.py).
WHOLE_FROM = 4

Done = Callable[[OSError | None], None]


@dataclass(slots=True)
class Landing:
    """One file to make durable and visible as `folder`/new/`name`.

    `content` is what to write, or `tmp` the path of a file in `folder`/tmp that is written already; then `descriptor`
    may be its open descriptor, which the committer closes. `mtime` is set when given.
    """

    folder: str
    name: str
    content: Sequence[bytes] = ()
    tmp: str | None = None
    mtime: float | None = None
    descriptor: int | None = None


class _File:
    """A landing on its way: `path` says where its file is now (empty: nowhere), `descriptor` is -1 when closed."""

    __slots__ = ("descriptor", "landing", "path")

    def __init__(self, landing: Landing) -> None:
        self.landing = landing
        self.path = landing.tmp or ""
        self.descriptor = -1 if landing.descriptor is None else landing.descriptor

    def close(self) -> None:
        """Durable: only the name is missing. Raises OSError."""
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def remove(self) -> None:
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            close_quietly(descriptor)
        if self.path:
            forget_file(self.path)


class _Job:
    """The files of one `submit`, acknowledged together or not at all."""

    __slots__ = ("done", "error", "files", "size")

    def __init__(self, landings: Sequence[Landing], done: Done) -> None:
        self.files = [_File(landing) for landing in landings]
        self.done = done
        self.size = sum([sum(map(len, landing.content)) for landing in landings])
        self.error: OSError | None = None

    def fail(self, error: Exception) -> None:
        """Take every file of this job away again. Nobody has been told of any of them."""
        self.error = error if isinstance(error, OSError) else OSError(errno.EIO, f"cannot be written: {error!r}")
        for file in self.files:
            file.remove()


class Committer:
    """`call_from_thread` runs a callable in the loop's thread: reactor.callFromThread, loop.call_soon_threadsafe.

    With `next_turn` (loop.call_soon; the committer is then made in the loop's thread) what is submitted there is
    gathered until a turn of the loop brings nothing more. Sessions that were answered together come back together,
    and the first of them must not pay for a sync of its own while the others are heard; a lone one waits one turn.
    """

    def __init__(
        self,
        call_from_thread: Callable[..., object],
        next_turn: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.call_from_thread = call_from_thread
        self._next_turn = next_turn
        #  Set before `start`, or never: the committer is its only user.
        self.file_system: FileSystem | None = None
        self._home = get_ident()
        self._gathered: list[_Job] = []
        self._gathered_before = 0
        self.writer = Writer()
        self._queue: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._backlog = 0
        self._pending = 0
        self._moved = 0.0
        self._stopped = False

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drain what was submitted, then end. Answers are on their way to the loop when this returns."""
        self.writer.stop()
        with self._lock:
            self._stopped = True
            self._hand_over()
        if self._thread:
            self._queue.put(None)
            self._thread.join()
        if self.file_system is not None:
            file_system, self.file_system = self.file_system, None
            file_system.close()

    def submit(self, landings: Sequence[Landing], done: Done) -> None:
        """Make `landings` durable and visible, then call `done` in the loop's thread: all of them or none."""
        job = _Job(landings, done)
        with self._lock:
            stopped = self._stopped
            if not stopped:
                if not self._pending:
                    self._moved = time.monotonic()
                self._pending += 1
                self._backlog += job.size
                self._gathered.append(job)
                if self._next_turn is None or get_ident() != self._home:
                    self._hand_over()
                elif len(self._gathered) == 1:
                    self._next_turn(self._end_of_turn)
        if stopped:
            job.fail(OSError(errno.ESHUTDOWN, "the committer has been stopped"))
            self._answer([job])

    def _end_of_turn(self) -> None:
        with self._lock:
            is_growing = len(self._gathered) > self._gathered_before
            if is_growing and self._next_turn and len(self._gathered) < LARGEST_BATCH:
                self._gathered_before = len(self._gathered)
                self._next_turn(self._end_of_turn)
            else:
                self._hand_over()

    def _hand_over(self) -> None:
        """To the thread, with the lock held."""
        if self._gathered:
            self._queue.put(self._gathered)
        self._gathered = []
        self._gathered_before = 0

    def refuse(self, done: Done, error: OSError) -> None:
        """Tell `done` of an error that came before there was anything to submit."""
        self._tell([(done, error)])

    def backlog(self) -> int:
        """Bytes that were submitted and are not durable yet."""
        return self._backlog

    def stuck_for(self, now: float) -> float:
        """Seconds since work waits and none was done; `now` is a reading of time.monotonic."""
        return now - self._moved if self._pending else 0.0

    def _run(self) -> None:
        running = True
        while running:
            jobs, running = self._next_batch()
            if jobs:
                self._commit(jobs)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """Everything that was handed over by now, up to LARGEST_BATCH files or a little more."""
        jobs: list[_Job] = []
        group = self._queue.get()
        try:
            while group is not None:
                jobs += group
                if sum([len(job.files) for job in jobs]) >= LARGEST_BATCH:
                    return jobs, True
                group = self._queue.get_nowait()
        except Empty:
            return jobs, True
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            commit_batch(jobs, self.file_system)
        except Exception as error:
            #  A fault of ours must not leave a session waiting for ever: nobody in this batch hears a 250.
            for job in jobs:
                job.fail(error)
        with self._lock:
            self._backlog -= sum(job.size for job in jobs)
            self._pending -= len(jobs)
            self._moved = time.monotonic()
        self._answer(jobs)

    def _answer(self, jobs: Sequence[_Job]) -> None:
        self._tell([(job.done, job.error) for job in jobs])

    def _tell(self, answers: Sequence[tuple[Done, OSError | None]]) -> None:
        try:
            self.call_from_thread(_answer_all, answers)
        except RuntimeError:
            pass  #  The loop is closed: nobody is left to hear it.


def _answer_all(answers: Sequence[tuple[Done, OSError | None]]) -> None:
    """Every `done` is called, also behind one that raises."""
    faults: list[Exception] = []
    for done, error in answers:
        try:
            done(error)
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise ExceptionGroup("after a commit", faults)


def commit_batch(jobs: Sequence[_Job], file_system: FileSystem | None = None) -> None:
    """Write all, start write-back on all, sync each, rename all, sync each folder once. A failure is one job's.

    With `file_system`, what was written here and lies there is synced by one call.
    """
    _for_each(jobs, _write)
    if file_system is not None:
        _sync_whole(jobs, file_system)
    if len(jobs) > 1:
        _for_each(jobs, _start)
    _for_each(jobs, _sync)
    _for_each(jobs, _rename)
    _sync_folders(jobs)


def _sync_whole(jobs: Sequence[_Job], file_system: FileSystem) -> None:
    """The files of this batch that are durable by that are closed; those that still have a descriptor are not.

    Not for files that came written already: what went wrong with them may have been told to the call for an earlier
    batch. After an error nobody knows whose it was; each file is then synced by itself, and its own descriptor, which
    is older than what was written, says what became of it.
    """
    fresh = [
        (job, [file for file in job.files if file.landing.tmp is None and file_system.has(file.landing.folder)])
        for job in jobs
        if job.error is None
    ]
    if sum([len(files) for _, files in fresh]) < WHOLE_FROM:
        return
    try:
        file_system.sync()
    except OSError:
        return
    for job, files in fresh:
        try:
            for file in files:
                file.close()
        except OSError as error:
            job.fail(error)


def _for_each(jobs: Sequence[_Job], step: Callable[[_Job], None]) -> None:
    for job in jobs:
        if job.error is None:
            try:
                step(job)
            except Exception as error:
                job.fail(error)


def _write(job: _Job) -> None:
    for file in job.files:
        landing = file.landing
        if not file.path:
            path = f"{landing.folder}/tmp/{landing.name}"
            file.descriptor = os.open(path, CREATE, 0o660)
            file.path = path
            write_pieces(file.descriptor, landing.content)
        elif file.descriptor < 0:
            file.descriptor = os.open(file.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        if landing.mtime is not None:
            os.utime(file.descriptor, (landing.mtime, landing.mtime))


def _start(job: _Job) -> None:
    for file in job.files:
        if file.descriptor >= 0:
            start_write_back(file.descriptor)


def _sync(job: _Job) -> None:
    for file in job.files:
        if file.descriptor >= 0:
            #  Once only: after a failed sync the pages count as clean, and a second one would succeed without them.
            os.fsync(file.descriptor)
            file.close()


def _rename(job: _Job) -> None:
    for file in job.files:
        visible = f"{file.landing.folder}/new/{file.landing.name}"
        os.rename(file.path, visible)
        file.path = visible


def _sync_folders(jobs: Sequence[_Job]) -> None:
    folders: dict[str, list[_Job]] = {}
    for job in jobs:
        if job.error is None:
            for file in job.files:
                folders.setdefault(file.landing.folder, []).append(job)
    for folder, waiting in folders.items():
        try:
            sync_folder(f"{folder}/new")
        except OSError as error:
            for job in waiting:
                job.fail(error)
