"""Deposit: a message becomes entries of the spool, durable before anybody is told (docs/spool.md, D0 to D6).

Here: building the files while the message arrives, in memory or, when it is large, on disk. Not here: how a file is
made durable (shared/maildir), which lane a recipient belongs to (shared/routing).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shared.mail.envelope import Envelope
from shared.maildir.batch import Landing
from shared.maildir.committer import Committer
from shared.maildir.spill import Spill
from shared.routing.lane import Lane
from shared.spool.flow import flow_of
from shared.spool.ids import QueueIds
from shared.spool.names import EntryName
from shared.spool.record import render_record
from shared.spool.spool import Spool

#  Up to this much of a message is kept in memory; the rest goes to the disk while it arrives.
IN_MEMORY = 256 * 1024
#  A large message is handed to the writer's thread in pieces of at least this, however small they come: each costs a
#  change of threads, there and back.
_HAND_OVER = 256 * 1024
#  Ids given out and not deposited under yet, remembered up to so many; beyond, names are only longer.
_MOST_UNUSED = 10_000

Done = Callable[[OSError | None], None]


class Letter(NamedTuple):
    """The entry a message becomes in one lane: `envelope` names the recipients that go this way."""

    lane: Lane
    envelope: Envelope


class Depositor:
    """Takes messages into `spool`. In the loop's thread only."""

    def __init__(self, spool: Spool, committer: Committer, ids: QueueIds) -> None:
        self.committer = committer
        self._ids = ids
        self._node = spool.node
        self._folders = {lane: str(spool.folder(lane)) for lane in Lane}
        self._unused: dict[str, None] = {}

    def next_id(self) -> str:
        """A new queue id. Raises OSError."""
        id = self._ids.next()
        self._unused[id] = None
        if len(self._unused) > _MOST_UNUSED:
            del self._unused[next(iter(self._unused))]
        return id

    def draft(self, letters: Sequence[Letter], priority: int | None = None) -> Draft:
        """A message that is to become one entry in each letter's lane, with the same queue id in all of them.
        `priority`: what an operator says it is, in place of the envelope's."""
        if not letters or len({lane for lane, _ in letters}) < len(letters):
            raise ValueError("a message needs at least one letter, and at most one for each lane")
        id = letters[0].envelope.id
        #  An id that was used before may have an entry in the same lane, and no name may stand for two files: what
        #  is split off an entry later gets a mark of its own.
        copy = "" if self._unused.pop(id, self) is None else secrets.token_hex(4)
        return Draft(self.committer, [self._entry(letter, copy, priority) for letter in letters])

    def _entry(self, letter: Letter, copy: str, priority: int | None) -> _Entry:
        envelope = letter.envelope
        if priority is None:
            priority = envelope.priority
        name = EntryName(int(envelope.arrived), envelope.id, self._node, 0, "", copy, flow_of(envelope), priority)
        return _Entry(self._folders[letter.lane], name, render_record(envelope))


class _Entry(NamedTuple):
    """One file to be. The size in `name` is set when it is known."""

    folder: str
    name: EntryName
    record: bytes

    def final_name(self, message: int) -> str:
        return str(self.name._replace(size=len(self.record) + message))


class Draft:
    """A message on its way in. Ends with `commit` or `abandon`; what comes after that is ignored."""

    def __init__(self, committer: Committer, entries: Sequence[_Entry]) -> None:
        self.size = 0
        self._committer = committer
        self._entries = entries
        self._pieces: list[bytes] = []
        self._in_hand = 0
        self._spill: Spill | None = None
        self._ended = False

    @property
    def error(self) -> OSError | None:
        """What has already gone wrong with a large message; `commit` will say the same."""
        return self._spill.error if self._spill else None

    def write(self, chunk: bytes) -> None:
        """The next bytes of the message. Never waits; see `backlog`."""
        if self._ended:
            return
        self.size += len(chunk)
        self._in_hand += len(chunk)
        self._pieces.append(chunk)
        if self._spill:
            if self._in_hand >= _HAND_OVER:
                self._hand_over(self._spill)
        elif self._in_hand > IN_MEMORY:
            self._spill = self._begin_spill()
            self._hand_over(self._spill)

    def backlog(self) -> int:
        """Bytes not yet on their way to the disk. Above 512 KiB, pause whoever calls `write`."""
        return self._spill.backlog() if self._spill else 0

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the loop's thread, when the backlog is below 512 KiB."""
        if self._spill:
            self._spill.on_drained(callback)
        else:
            self._committer.call_from_thread(callback)

    def names(self) -> list[str]:
        """What the entries are going to be called, once all has been written."""
        return [entry.final_name(self.size) for entry in self._entries]

    def commit(self, done: Done) -> None:
        """Make it durable, then call `done` in the loop's thread: with None when every entry is, name and content;
        with the error when none is and nothing of it is left."""
        if self._ended:
            raise ValueError("this draft has ended")
        self._ended = True
        if self._spill:
            self._hand_over(self._spill)
            self._commit_spill(self._spill, done)
        else:
            pieces = self._pieces
            landings = [
                Landing(entry.folder, entry.final_name(self.size), [entry.record, *pieces]) for entry in self._entries
            ]
            self._committer.submit(landings, done)
        self._pieces = []

    def abandon(self) -> None:
        """It is not to be: what was written of it is removed. Without effect on a draft that was committed."""
        if not self._ended:
            self._ended = True
            self._pieces = []
            if self._spill:
                self._spill.give_up()

    def _begin_spill(self) -> Spill:
        heads = [(f"{entry.folder}/tmp/{entry.name}", entry.record) for entry in self._entries]
        return Spill(self._committer.writer, self._committer.call_from_thread, heads)

    def _hand_over(self, spill: Spill) -> None:
        spill.write(self._pieces)
        self._pieces = []
        self._in_hand = 0

    def _commit_spill(self, spill: Spill, done: Done) -> None:
        committer, names = self._committer, [entry.final_name(self.size) for entry in self._entries]
        folders = [entry.folder for entry in self._entries]

        def finished(error: OSError | None, files: Sequence[tuple[str, int]]) -> None:
            if error is not None:
                committer.refuse(done, error)
                return
            landings = [
                Landing(folder, name, tmp=path, descriptor=descriptor)
                for folder, name, (path, descriptor) in zip(folders, names, files, strict=True)
            ]
            committer.submit(landings, done)

        spill.finish(finished)


async def deposit(depositor: Depositor, letters: Sequence[Letter], message: bytes) -> None:
    """Deposit a message that is already whole: a report, or what an alias sends on. Raises OSError."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: OSError | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    draft = depositor.draft(letters)
    draft.write(message)
    draft.commit(done)
    await future
