"""A spool in a temporary folder, and a committer that has no thread: what is submitted is on disk when submit returns.

The files, names and system calls are the real ones; only the waiting is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.maildir.batch import Done, Landing
from shared.maildir.committer import Committer
from shared.maildir.spill import Writer
from shared.routing.lane import Lane
from shared.spool.deposit import Depositor, Letter
from shared.spool.ids import QueueIds
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.spool import Spool

NOW = 1790000000.0
MESSAGE = b"Received: from test\r\nSubject: hello\r\n\r\nbody\r\n"


class PromptWriter(Writer):
    """Does what it is asked at once."""

    def put(self, task: Callable[[], None]) -> bool:
        task()
        return True


class PromptCommitter(Committer):
    """Every submit is a batch of its own, and has been answered when it returns."""

    def __init__(self) -> None:
        super().__init__(lambda call, *args: call(*args))
        self.writer = PromptWriter()
        self.last: Sequence[Landing] = ()

    def submit(self, landings: Sequence[Landing], done: Done, is_patient: bool = False) -> None:
        self.last = landings
        super().submit(landings, done)
        jobs, _ = self._next_batch()
        self._commit(jobs)


class Events:
    """A report that remembers: `names` in order, `fields` of the last of a name."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.seen.append((event, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    def reason(self) -> str:
        """Why the last entry was set aside."""
        return next(str(fields["reason"]) for name, fields in reversed(self.seen) if name == "entry_set_aside")


class TestSpool:
    """A prepared spool with everything that works on it: `spool`, `events`, `committer`, `depositor`, `owner`."""

    __test__ = False

    def __init__(self, root: Path, node: str = "node.test") -> None:
        self.now = 0.0
        self.events = Events()
        self.spool = Spool(root / "spool", node, self.events)
        self.spool.prepare()
        self.committer = PromptCommitter()
        self.depositor = Depositor(self.spool, self.committer, QueueIds(self.spool.root, clock=lambda: NOW))
        self.owner = self.new_owner()
        self.owner.begin()

    def new_owner(self, daemon: str = "mercury-t") -> Owner:
        return Owner(self.spool, daemon, lambda: self.now)

    def lane(self, lane: Lane = Lane.RELAY, owner: Owner | None = None) -> LaneFolder:
        return LaneFolder(self.spool, lane, owner or self.owner)

    def envelope(self, *recipients: str, sender: str = "anna@hq.example") -> Envelope:
        return Envelope(
            id=self.depositor.next_id(),
            sender=parse_address(sender) if sender else None,
            recipients=tuple(Recipient(parse_address(text)) for text in recipients or ("berta@partner.example",)),
            arrived=NOW,
            site="hq",
        )

    def deposit(self, envelope: Envelope | None = None, message: bytes = MESSAGE, *lanes: Lane) -> str:
        """Put an entry into each of `lanes` (.relay unless told) and give its name, which is the same in all."""
        envelope = envelope or self.envelope()
        errors: list[OSError | None] = []
        draft = self.depositor.draft([Letter(lane, envelope) for lane in lanes or (Lane.RELAY,)])
        draft.write(message)
        draft.commit(errors.append)
        assert errors == [None], errors
        (name,) = {landing.name for landing in self.committer.last}
        return name

    def names(self, lane: Lane = Lane.RELAY, part: str = "new") -> list[str]:
        return sorted(path.name for path in (self.spool.folder(lane) / part).iterdir())

    def files(self) -> list[str]:
        """Every file below the spool but the counter and heartbeats, as paths relative to it."""
        root = self.spool.root
        return sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if not path.is_dir() and path.name.partition(".")[0] != "ids" and path.parent != self.spool.owners
        )
