"""One message into one Maildir: durable, its name too, before it counts as delivered.

Everything a file system may answer is an outcome here, so that one full mailbox is nobody else's matter.
Not here: which Maildir (directory.py, mailbox.py), the order of write, sync and rename (shared/maildir).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol

from mercury_s.local.mailbox import MessageNames
from mercury_s.local.message import Message
from shared.mail.outcome import Deferred, Delivered
from shared.mail.reply import Reply
from shared.maildir.batch import Landing
from shared.maildir.tree import CREATE, close_quietly, forget_file, make_maildir
from shared.maildir.write import write_pieces

_DELIVERED = Reply(250, "2.0.0", "Delivered to the mailbox")
_FULL = Reply(452, "4.2.2", "The mailbox is full")
_NO_SPACE = Reply(452, "4.3.1", "There is no space left for mailboxes")
_CLOSED = Reply(451, "4.2.0", "The mailbox cannot be written to for now")
_TROUBLE = Reply(451, "4.3.0", "The mail system has trouble with its storage")

_REPLIES = {
    errno.EDQUOT: _FULL,
    errno.ENOSPC: _NO_SPACE,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.ENOTDIR: _CLOSED,
    errno.ELOOP: _CLOSED,
    errno.EEXIST: _CLOSED,  #  something else stands in the place of a folder
}


class Commits(Protocol):
    """What is asked of shared.maildir's Committer."""

    def submit(
        self, landings: Sequence[Landing], done: Callable[[OSError | None], None], is_patient: bool = False
    ) -> None: ...


#  What the operator does about it.
_ADVICE = {
    errno.EACCES: "it must belong to the account of MercuryS",
    errno.EROFS: "under systemd `mercury setup` opens the folders that the configuration names",
}


def defer(error: OSError) -> Deferred:
    """The outcome that `error` means for a recipient; paths are for the operator only."""
    return Deferred(_REPLIES.get(error.errno or 0, _TROUBLE), detail=_detail(error))


def _detail(error: OSError) -> str:
    """The Maildir and not the file in it, so that one fault is told in the same words each time."""
    if not isinstance(error.filename, str):
        return str(error)
    path = Path(error.filename)
    folder = next((part.parent for part in (path, path.parent) if part.name in ("tmp", "new", "cur")), path)
    advice = _ADVICE.get(error.errno or 0)
    return f"{folder}: {error.strerror}{f'; {advice}' if advice else ''}"


class Maildrop:
    """Many deliveries are in flight at once, and those that are ready together share the committer's syncs."""

    def __init__(self, committer: Commits, names: MessageNames, executor: Executor | None = None) -> None:
        self._committer = committer
        self._names = names
        self._executor = executor
        self._known: set[str] = set()  #  Maildirs that are there

    async def deliver(self, folder: str, prefix: bytes, message: Message) -> Delivered | Deferred:
        """`prefix` is what final delivery puts before the message, with LF line ends."""
        try:
            try:
                return await self._attempt(folder, prefix, message)
            except FileNotFoundError:  #  the Maildir has been taken away since we knew it: make it again
                self._known.discard(folder)
                return await self._attempt(folder, prefix, message)
        except OSError as error:
            return defer(error)

    async def _attempt(self, folder: str, prefix: bytes, message: Message) -> Delivered:
        if folder not in self._known:
            await asyncio.get_running_loop().run_in_executor(self._executor, make_maildir, Path(folder), 0o700)
            self._known.add(folder)
        name = self._names.next()
        if message.small is None:
            landing = await self._write_large(folder, name, prefix, message)
        else:
            text = message.small
            landing = Landing(folder, self._names.sized(name, len(prefix) + len(text)), (prefix, text))
        await commit(self._committer, landing)
        return Delivered(_DELIVERED, detail=f"{folder}/new/{landing.name}")

    async def _write_large(self, folder: str, name: str, prefix: bytes, message: Message) -> Landing:
        path = f"{folder}/tmp/{name}"
        writing = asyncio.get_running_loop().run_in_executor(self._executor, _write, path, prefix, message)
        try:
            descriptor, size = await asyncio.shield(writing)
        except asyncio.CancelledError:
            #  The thread goes on; what it leaves is taken away when it has ended.
            writing.add_done_callback(partial(_forget, path))
            raise
        return Landing(folder, self._names.sized(name, size), tmp=path, descriptor=descriptor)


async def commit(committer: Commits, landing: Landing) -> None:
    """Returns when the file is durable and visible. Raises OSError."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: OSError | None) -> None:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    committer.submit((landing,), done, is_patient=True)
    await future


def _write(path: str, prefix: bytes, message: Message) -> tuple[int, int]:
    """The descriptor and size of a new file. On an error there is none. Raises OSError."""
    descriptor = os.open(path, CREATE, 0o600)
    try:
        size = 0
        for piece in chain((prefix,), message.pieces()):
            write_pieces(descriptor, (piece,))
            size += len(piece)
    except BaseException:
        os.close(descriptor)
        forget_file(path)
        raise
    return descriptor, size


def _forget(path: str, writing: asyncio.Future[tuple[int, int]]) -> None:
    if not writing.cancelled() and writing.exception() is None:
        close_quietly(writing.result()[0])
        forget_file(path)
