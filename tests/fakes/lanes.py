"""A lane folder in memory that keeps the contract of the real one (tests/delivery/test_lane_contract.py holds both to it).

Every step is noted in `steps`, so that tests can say in which order things happened; `fail` makes the next steps of a
kind raise, as a full or read-only disk does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from shared.mail.content import BytesContent, Content
from shared.mail.envelope import Envelope, Recipient
from shared.routing.lane import Lane
from shared.spool.deposit import Letter
from shared.spool.trail import Trail, TrailRecord

Step = tuple[str, ...]


@dataclass
class Ledger:
    """What happened in a spool, in order, and which steps shall fail how often."""

    steps: list[Step] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def note(self, step: str, *about: str) -> None:
        """Note it, or fail."""
        if self.failures[step] > 0:
            self.failures[step] -= 1
            raise OSError(28, "No space left on device", step)
        self.steps.append((step, *about))

    def kinds(self) -> list[str]:
        return [step[0] for step in self.steps]


class FakeTrail(Trail):
    """The real trail's questions over records kept in memory."""

    def __init__(self, name: str, ledger: Ledger, kept: list[TrailRecord]) -> None:
        super().__init__(f"/nowhere/{name}")
        self._name, self._ledger, self._kept = name, ledger, kept

    @property
    def records(self) -> Sequence[TrailRecord]:
        return list(self._kept)

    @property
    def exists(self) -> bool:
        return bool(self._kept)

    def append(self, records: Sequence[TrailRecord], durable: bool) -> None:
        events = ",".join(f"{record.event}:{record.recipient}".rstrip(":") for record in records)
        self._ledger.note("trail synced" if durable else "trail", events)
        self._kept.extend(records)


@dataclass
class FakeClaim:
    """As shared.spool.claim.Claim."""

    name: str
    path: str
    due: float
    envelope: Envelope
    content: Content
    trail: FakeTrail

    @property
    def unfinished(self) -> tuple[Recipient, ...]:
        return self.trail.unfinished(self.envelope.recipients)

    @property
    def attempts(self) -> int:
        return self.trail.attempts()


@dataclass
class _Stored:
    envelope: Envelope
    message: bytes
    due: float
    owner: str = ""
    trail: list[TrailRecord] = field(default_factory=list)


class FakeSpool:
    """All lanes. Doubles as the depositor: what is drafted lands when it is committed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ledger = Ledger()
        self.entries: dict[Lane, dict[str, _Stored]] = {lane: {} for lane in Lane}
        self.watchers: list[Callable[[Lane, str, float], None]] = []
        self._ids = 0
        self._copies: Counter[str] = Counter()
        self.foretold: dict[tuple[Lane, str], list[TrailRecord]] = {}

    def next_id(self) -> str:
        self._ids += 1
        return f"TEST-{self._ids:04d}"

    def put(self, lane: Lane, envelope: Envelope, message: bytes, due: float | None = None) -> str:
        self._copies[envelope.id] += 1
        copy = f",C={self._copies[envelope.id]}" if self._copies[envelope.id] > 1 else ""
        name = f"{int(envelope.arrived)}.{envelope.id}.node.test,S={len(message)}{copy}"
        past = self.foretold.pop((lane, envelope.id), [])
        stored = _Stored(envelope, message, self.clock() if due is None else due, trail=past)
        assert name not in self.entries[lane], "two entries of one name"
        self.entries[lane][name] = stored
        self.appear(lane, name)
        return name

    def appear(self, lane: Lane, name: str) -> None:
        for watcher in self.watchers:
            watcher(lane, name, self.entries[lane][name].due)

    def draft(self, letters: Sequence[Letter], priority: int | None = None) -> FakeDraft:
        return FakeDraft(self, letters)

    def waiting(self, lane: Lane) -> list[Envelope]:
        return [stored.envelope for stored in self.entries[lane].values() if not stored.owner]

    def claimed(self, lane: Lane) -> list[Envelope]:
        return [stored.envelope for stored in self.entries[lane].values() if stored.owner]

    def message(self, lane: Lane, identity: str) -> bytes:
        return next(each.message for each in self.entries[lane].values() if each.envelope.id == identity)

    def trail(self, lane: Lane) -> list[TrailRecord]:
        """Of the only entry there."""
        (stored,) = self.entries[lane].values()
        return stored.trail


class FakeDraft:
    """As shared.spool.deposit.Draft."""

    def __init__(self, spool: FakeSpool, letters: Sequence[Letter]) -> None:
        self._spool, self._letters = spool, letters
        self._pieces: list[bytes] = []

    @property
    def size(self) -> int:
        return sum(map(len, self._pieces))

    def write(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def names(self) -> list[str]:
        return [letter.envelope.id for letter in self._letters]

    def backlog(self) -> int:
        return 0

    def on_drained(self, callback: Callable[[], None]) -> None:
        callback()

    def commit(self, done: Callable[[OSError | None], None]) -> None:
        try:
            for letter in self._letters:
                self._spool.ledger.note("deposit", letter.lane.word, letter.envelope.id)
        except OSError as error:
            done(error)
            return
        for letter in self._letters:
            self._spool.put(letter.lane, letter.envelope, b"".join(self._pieces))
        done(None)

    def abandon(self) -> None:
        self._pieces = []


class FakeOwner:
    """Alive from `begin` to `end`; counts its beats."""

    def __init__(self, identity: str = "owner.1") -> None:
        self.id = identity
        self.daemon = "mercury-t"
        self.beats = 0
        self.living = {identity}

    def begin(self) -> None:
        self.living.add(self.id)

    def beat(self) -> None:
        self.beats += 1

    def end(self) -> None:
        self.living.discard(self.id)

    def is_alive(self, owner: str) -> bool:
        return owner in self.living


class FakeLane:
    """As shared.spool.lane.LaneFolder."""

    def __init__(self, spool: FakeSpool, lane: Lane, owner: FakeOwner) -> None:
        self.lane = lane
        self.owner = owner
        self.new = f"/nowhere/{lane.value}/new"
        self._spool = spool
        self._ledger = spool.ledger

    @property
    def _entries(self) -> dict[str, _Stored]:
        return self._spool.entries[self.lane]

    def scan(self) -> Iterator[tuple[str, float]]:
        for name, stored in list(self._entries.items()):
            if not stored.owner:
                yield name, stored.due

    def claim(self, name: str) -> FakeClaim | None:
        stored = self._entries.get(name)
        if stored is None or stored.owner:
            return None
        try:
            self._ledger.note("claim", stored.envelope.id)
        except OSError:
            return None
        stored.owner = self.owner.id
        trail = FakeTrail(name, self._ledger, stored.trail)
        content = BytesContent(stored.message)
        return FakeClaim(name, f"/nowhere/{name}", stored.due, stored.envelope, content, trail)

    def release(self, claim: FakeClaim) -> None:
        self._settle("release", claim)

    def postpone(self, claim: FakeClaim, when: float) -> None:
        self._settle("postpone", claim, when)

    def _settle(self, step: str, claim: FakeClaim, when: float | None = None) -> None:
        self._ledger.note(step, claim.envelope.id)
        stored = self._entries.get(claim.name)
        if stored is not None and stored.owner == self.owner.id:
            stored.owner = ""
            stored.due = stored.due if when is None else when
            self._spool.appear(self.lane, claim.name)

    def retire(self, claim: FakeClaim) -> None:
        self._ledger.note("retire", claim.envelope.id)
        self._entries.pop(claim.name, None)

    def move(self, claim: FakeClaim, lane: Lane, when: float) -> None:
        self._ledger.note("move", claim.envelope.id, lane.word)
        stored = self._entries.pop(claim.name, None)
        if stored is not None:
            name = claim.name if lane is self.lane else f"{claim.name},L={self.lane.word}"
            self._spool.entries[lane][name] = replace(stored, owner="", due=when)
            self._spool.appear(lane, name)

    def foretell(self, lane: Lane, name: str, records: Sequence[TrailRecord]) -> None:
        self._ledger.note("foretell", lane.word, name)
        self._spool.foretold[lane, name] = list(records)

    def adopt(self) -> int:
        adopted = 0
        for name, stored in self._entries.items():
            if stored.owner and not self.owner.is_alive(stored.owner):
                stored.owner = ""
                adopted += 1
                self._spool.appear(self.lane, name)
        return adopted

    def sweep(self, now: float) -> int:
        self._ledger.note("sweep")
        return 0


def fake_watch(spool: FakeSpool, lane: Lane) -> Callable[..., SimpleNamespace]:
    """Tells the runner at once what appears in the lane, as the kernel would; scans once at the start."""

    def begin(appeared: Callable[[str, float], object], rescan: Callable[[], object]) -> SimpleNamespace:
        def watcher(where: Lane, name: str, due: float) -> None:
            if where is lane:
                appeared(name, due)

        def start() -> None:
            spool.watchers.append(watcher)
            rescan()

        return SimpleNamespace(start=start, stop=lambda: spool.watchers.remove(watcher))

    return begin
