"""A batch of files that become durable and visible together: the steps D1 to D5 of docs/spool.md.

One sync of each folder for all of them; the syncs of the files (D2) are made side by side (`Syncs`), or by one call
for all (`FileSystem`). Not here: what makes a batch, and its thread (shared/maildir/committer.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.maildir.file_system import FileSystem
from shared.maildir.syncs import NotTried, Syncs
from shared.maildir.tree import CREATE, close_quietly, forget_file, sync_folder
from shared.maildir.write import start_write_back, write_pieces

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


class Job:
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


def commit_batch(jobs: Sequence[Job], file_system: FileSystem | None = None, syncs: Syncs | None = None) -> None:
    """Write all, start write-back on all, sync each, rename all, sync each folder once. A failure is one job's.

    With `file_system`, what was written here and lies there is synced by one call; with `syncs`, what is left of
    the files, and then the folders, side by side.
    """
    _for_each(jobs, _write)
    if file_system is not None:
        _sync_whole(jobs, file_system)
    if len(jobs) > 1:
        #  Before syncs side by side as well: where the blocks of all have been found, one commit of the journal does.
        _for_each(jobs, _start)
    if syncs is not None:
        _sync_side_by_side(jobs, syncs)
    _for_each(jobs, _sync)
    _for_each(jobs, _rename)
    _sync_folders(jobs, syncs)


def _sync_whole(jobs: Sequence[Job], file_system: FileSystem) -> None:
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


def _sync_side_by_side(jobs: Sequence[Job], syncs: Syncs) -> None:
    """What is durable by that is closed. What could not be tried keeps its descriptor."""
    waiting = [(job, file) for job in jobs if job.error is None for file in job.files if file.descriptor >= 0]
    if len(waiting) < 2:
        return
    answers = syncs.sync([file.descriptor for _, file in waiting])
    for (job, file), answer in zip(waiting, answers, strict=True):
        if job.error is None and not isinstance(answer, NotTried):
            try:
                if answer is not None:
                    raise answer
                file.close()
            except OSError as error:
                job.fail(error)


def _for_each(jobs: Sequence[Job], step: Callable[[Job], None]) -> None:
    for job in jobs:
        if job.error is None:
            try:
                step(job)
            except Exception as error:
                job.fail(error)


def _write(job: Job) -> None:
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


def _start(job: Job) -> None:
    for file in job.files:
        if file.descriptor >= 0:
            start_write_back(file.descriptor)


def _sync(job: Job) -> None:
    for file in job.files:
        if file.descriptor >= 0:
            #  Once only: after a failed sync the pages count as clean, and a second one would succeed without them.
            os.fsync(file.descriptor)
            file.close()


def _rename(job: Job) -> None:
    for file in job.files:
        visible = f"{file.landing.folder}/new/{file.landing.name}"
        os.rename(file.path, visible)
        file.path = visible


def _sync_folders(jobs: Sequence[Job], syncs: Syncs | None) -> None:
    folders: dict[str, list[Job]] = {}
    for job in jobs:
        if job.error is None:
            for file in job.files:
                folders.setdefault(f"{file.landing.folder}/new", []).append(job)
    for folder, error in _faults_of_syncing(list(folders), syncs):
        for job in folders[folder]:
            job.fail(error)


def _faults_of_syncing(folders: Sequence[str], syncs: Syncs | None) -> Iterator[tuple[str, OSError]]:
    """Sync them; which could not be, and why."""
    done: set[str] = set()
    if syncs is not None and len(folders) > 1:
        answers = _sync_names(folders, syncs)
        yield from [(folder, error) for folder, error in answers.items() if error is not None]
        done.update(answers)
    for folder in folders:
        if folder not in done:
            try:
                sync_folder(folder)
            except OSError as error:
                yield folder, error


def _sync_names(folders: Sequence[str], syncs: Syncs) -> dict[str, OSError | None]:
    """What became of each; those that could not be tried are left out."""
    answers: dict[str, OSError | None] = {}
    opened: dict[str, int] = {}
    for folder in folders:
        try:
            opened[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            answers[folder] = error
    for (folder, descriptor), answer in zip(opened.items(), syncs.sync(list(opened.values())), strict=True):
        try:
            os.close(descriptor)
        except OSError as error:
            answer = error
        if not isinstance(answer, NotTried):
            answers[folder] = answer
    return answers
