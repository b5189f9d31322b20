"""Group commit: files become durable and visible together, one sync of each folder for all of them.

One thread. Batches form by themselves: what is submitted while a batch is on its way to the disk is the next
batch, and what one wave of the loop brings goes together; there is no window of time where somebody waits for an
answer. Where nobody does (a delivery: the sender has his 250, and the entry stays until it is done), batches may grow
while there is other work: what is `patient` lets it go first, and then goes by dozens. Not here: what is done with a
batch (shared/maildir/batch.py), and the writing of large files while they arrive (shared/maildir/spill.py).
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident

from shared.maildir.batch import Done, Job, Landing, commit_batch
from shared.maildir.file_system import FileSystem
from shared.maildir.spill import Writer
from shared.maildir.syncs import Syncs

#  Every file of a batch holds a descriptor; a batch of this size has all the gain there is.
LARGEST_BATCH = 128
#  Patient files go along with others when there are so many, or when the first of them has waited for half of this;
#  by themselves, with syncs of their own, when it has waited for so many seconds.
PATIENT_BATCH = 64
PATIENCE = 0.1


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
        #  The thread's own.
        self._syncs = Syncs()
        self._home = get_ident()
        self._gathered: list[Job] = []
        self._gathered_before = 0
        self.writer = Writer()
        self._queue: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._patient: deque[Job] = deque()
        self._patient_since = 0.0
        #  Until then others are likely to come in a moment, as several have just come together.
        self._busy_until = 0.0
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

    def submit(self, landings: Sequence[Landing], done: Done, is_patient: bool = False) -> None:
        """Make `landings` durable and visible, then call `done` in the loop's thread: all of them or none.
        `is_patient`: nobody waits for the answer, and others may go first for a moment."""
        job = Job(landings, done)
        with self._lock:
            stopped = self._stopped
            if not stopped:
                if not self._pending:
                    self._moved = time.monotonic()
                self._pending += 1
                self._backlog += job.size
                if is_patient:
                    self._be_patient(job)
                    return
                self._gathered.append(job)
                if self._next_turn is None or get_ident() != self._home:
                    self._hand_over()
                elif len(self._gathered) == 1:
                    self._next_turn(self._end_of_turn)
        if stopped:
            job.fail(OSError(errno.ESHUTDOWN, "the committer has been stopped"))
            self._answer([job])

    def _be_patient(self, job: Job) -> None:
        """With the lock held. The thread is told of the first, and looks at its clock from then on."""
        self._patient.append(job)
        if len(self._patient) == 1:
            self._patient_since = time.monotonic()
            self._queue.put([])

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
        self._syncs.close()

    def _next_batch(self) -> tuple[list[Job], bool]:
        """Everything that was handed over by now, up to LARGEST_BATCH files or a little more; and patient work, when
        it has waited long enough or there is nothing else."""
        jobs: list[Job] = []
        files = 0
        try:
            group = self._queue.get(timeout=self._longest_wait())
            while group is not None:
                jobs += group
                files += sum([len(job.files) for job in group])
                if files >= LARGEST_BATCH:
                    break
                group = self._queue.get_nowait()
        except Empty:
            group = []
        most = max(LARGEST_BATCH - files, PATIENT_BATCH)
        if group is None:
            jobs += self._take_patient(most)
            if self._patient:
                self._queue.put(None)
            return jobs, bool(self._patient)
        now = time.monotonic()
        if len(jobs) > 1:
            self._busy_until = now + PATIENCE
        if self._patient and now >= self._patient_until(bool(jobs)):
            jobs += self._take_patient(most)
        return jobs, True

    def _patient_until(self, in_company: bool) -> float:
        """When patient work goes, with others or alone. At once where nobody else has come for a while."""
        if in_company and len(self._patient) >= PATIENT_BATCH:
            return 0.0
        return min(self._patient_since + (PATIENCE / 2 if in_company else PATIENCE), self._busy_until)

    def _longest_wait(self) -> float | None:
        """Seconds that the thread may wait for other work."""
        return max(self._patient_until(False) - time.monotonic(), 0.0) if self._patient else None

    def _take_patient(self, most: int) -> list[Job]:
        with self._lock:
            self._patient_since = time.monotonic()
            return [self._patient.popleft() for _ in range(min(most, len(self._patient)))]

    def _commit(self, jobs: list[Job]) -> None:
        try:
            commit_batch(jobs, self.file_system, self._syncs)
        except Exception as error:
            #  A fault of ours must not leave a session waiting for ever: nobody in this batch hears a 250.
            for job in jobs:
                job.fail(error)
        with self._lock:
            self._backlog -= sum(job.size for job in jobs)
            self._pending -= len(jobs)
            self._moved = time.monotonic()
        self._answer(jobs)

    def _answer(self, jobs: Sequence[Job]) -> None:
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
