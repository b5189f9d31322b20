"""Files that grow while their content still arrives: written in a thread of their own, so that the loop never waits.

Here: the thread, a group of files that get the same content behind heads of their own, and how far it is behind.
Not here: making them durable (shared/maildir/committer.py), and when memory is enough (shared/spool/deposit.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread

from shared.maildir.tree import CREATE, close_quietly, forget_file
from shared.maildir.write import start_write_back, write_pieces

#  Whoever was told to wait goes on when this little is left; what is in the queue then keeps the disk busy meanwhile.
DRAINED = 512 * 1024
#  The kernel is asked to begin with the disk after so much, so that the sync at the end finds little left to do.
WRITE_BACK_EVERY = 1024 * 1024

Finished = Callable[[OSError | None, Sequence[tuple[str, int]]], None]


class Writer:
    """The thread that writes, started by the first task."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._stopped = False

    def put(self, task: Callable[[], None]) -> bool:
        """Run `task`, which raises nothing, behind all others. False: the writer has been stopped."""
        with self._lock:
            if self._stopped:
                return False
            if self._thread is None:
                self._thread = Thread(target=self._run, name="writer", daemon=True)
                self._thread.start()
            self._queue.put(task)
            return True

    def stop(self) -> None:
        """Do what was asked for, then end."""
        with self._lock:
            self._stopped = True
        if self._thread:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            task()


class Spill:
    """Files that get the same content. `heads` has path and first bytes of each."""

    def __init__(
        self, writer: Writer, call_from_thread: Callable[..., object], heads: Sequence[tuple[str, bytes]]
    ) -> None:
        self.error: OSError | None = None
        self._writer = writer
        self._call_from_thread = call_from_thread
        self._lock = Lock()
        self._files: list[tuple[str, int]] = []
        self._waiting = 0
        self._drained: Callable[[], None] | None = None
        self._given_up = False
        self._unstarted = 0
        self._put(partial(self._open, heads))

    def write(self, pieces: Sequence[bytes]) -> None:
        """Have `pieces` written behind what came before. After an error they are dropped."""
        size = sum(map(len, pieces))
        with self._lock:
            self._waiting += size
        self._put(partial(self._append, pieces, size))

    def backlog(self) -> int:
        """Bytes that were given to `write` and are not written yet."""
        return self._waiting

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the loop's thread, when little is waiting; soon, if that is so now."""
        with self._lock:
            if self._waiting >= DRAINED:
                self._drained = callback
                return
        self._call_from_thread(callback)

    def finish(self, finished: Finished) -> None:
        """Call `finished` behind the last write, in the writer's thread, with path and descriptor of each file.

        They belong to the caller from then on. With an error there are none any more.
        """
        self._put(partial(self._finish, finished))

    def give_up(self) -> None:
        """Remove the files. What was not written yet never will be."""
        self._given_up = True
        self._put(self._remove)

    def _put(self, task: Callable[[], None]) -> None:
        if not self._writer.put(task):
            self.error = self.error or OSError(errno.ESHUTDOWN, "the writer has been stopped")
            task()

    def _open(self, heads: Sequence[tuple[str, bytes]]) -> None:
        def step() -> None:
            for path, head in heads:
                descriptor = os.open(path, CREATE, 0o660)
                self._files.append((path, descriptor))
                write_pieces(descriptor, [head])

        self._attempt(step)

    def _append(self, pieces: Sequence[bytes], size: int) -> None:
        def step() -> None:
            self._unstarted += size
            for _, descriptor in self._files:
                write_pieces(descriptor, pieces)
                if self._unstarted >= WRITE_BACK_EVERY:
                    start_write_back(descriptor)
            if self._unstarted >= WRITE_BACK_EVERY:
                self._unstarted = 0

        self._attempt(step)
        self._account(size)

    def _attempt(self, step: Callable[[], None]) -> None:
        if self.error is None and not self._given_up:
            try:
                step()
            except Exception as error:
                self.error = error if isinstance(error, OSError) else OSError(errno.EIO, repr(error))
                self._remove()

    def _account(self, size: int) -> None:
        with self._lock:
            self._waiting -= size
            callback = self._drained if self._waiting < DRAINED else None
            if callback:
                self._drained = None
        if callback:
            try:
                self._call_from_thread(callback)
            except RuntimeError:
                pass  #  The loop is closed: nobody waits any more.

    def _finish(self, finished: Finished) -> None:
        if self.error is not None:
            self._remove()
        files, self._files = self._files, []
        finished(self.error, files)

    def _remove(self) -> None:
        files, self._files = self._files, []
        for path, descriptor in files:
            close_quietly(descriptor)
            forget_file(path)
