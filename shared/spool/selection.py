"""A selection: which entries a verb is about. The same for every verb, at the command line and over a control socket.

What a name says (id, age, size) is asked before a file is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from shared.routing.lane import Lane
from shared.spool.names import EntryName
from shared.spool.queue_entry import ACTIVE, DAMAGED, HELD, TRASH, WAITING, QueueEntry, list_entries
from shared.spool.spool import Spool

DEFERRED = "deferred"
STATE_WORDS = [WAITING, DEFERRED, ACTIVE, HELD, TRASH, DAMAGED]
LANE_WORDS = [lane.word for lane in Lane]


_LISTS = ("ids", "lanes", "senders", "recipients", "sites", "states", "errors")


@dataclass(frozen=True)
class Selection:
    """Empty fields select everything; together they narrow. Patterns are addresses or domains, `*` allowed.

    `before` is a moment: entries that came earlier. `larger` is in octets. `errors` are parts of the last error.
    `is_rehearsal`: nothing is to be done, only told.
    """

    ids: frozenset[str] = frozenset()
    lanes: tuple[Lane, ...] = ()
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    before: float = inf
    larger: int = 0
    is_rehearsal: bool = False

    @property
    def is_empty(self) -> bool:
        return replace(self, is_rehearsal=False) == Selection()

    def __str__(self) -> str:
        """For the audit log: what narrows it, or `all`."""
        words = [
            f"{key}={','.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
            for key, value in self.as_json().items()
            if value
        ]
        return " ".join(words) or "all"

    def as_json(self) -> dict[str, Any]:
        """For a control socket; nothing that selects all is said. A rehearsal is not part of it."""
        fields = asdict(self) | {
            "ids": sorted(self.ids),
            "lanes": [lane.word for lane in self.lanes],
            "before": None if self.before == inf else self.before,
        }
        del fields["is_rehearsal"]
        return {key: value for key, value in fields.items() if value}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Selection:
        """Raises ValueError for what is no selection."""
        words = {key: _words(fields.get(key)) for key in _LISTS}
        if unknown := set(fields) - set(words) - {"before", "larger"}:
            raise ValueError(f"there is no {', '.join(sorted(unknown))} to select by")
        before, larger = fields.get("before", inf), fields.get("larger", 0)
        if not isinstance(before, (int, float)) or not isinstance(larger, int):
            raise ValueError("before and larger are numbers")
        lanes = tuple(Lane(f".{word}") for word in words.pop("lanes"))
        ids = frozenset(words.pop("ids"))
        return cls(
            ids,
            lanes,
            words["senders"],
            words["recipients"],
            words["sites"],
            words["states"],
            words["errors"],
            before,
            larger,
        )

    def entries(self, spool: Spool, default: Collection[Lane]) -> Iterator[QueueEntry]:
        """What is selected, of the lanes named or of the `default` ones."""
        for entry in list_entries(spool, self.lanes or default, self._is_wanted):
            if self._matches(entry):
                yield entry

    def _is_wanted(self, parts: EntryName) -> bool:
        return (not self.ids or parts.id in self.ids) and parts.seconds < self.before and parts.size > self.larger

    def _matches(self, entry: QueueEntry) -> bool:
        if self.senders and not _is_any(entry.sender or "<>", self.senders):
            return False
        if self.sites and (entry.envelope is None or entry.envelope.site not in self.sites):
            return False
        if self.states and _state_word(entry) not in self.states:
            return False
        if self.errors and not any(part.lower() in entry.last_error.lower() for part in self.errors):
            return False
        everyone = (*entry.recipients, *entry.settled)
        return not self.recipients or any(_is_any(address, self.recipients) for address in everyone)


def _words(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError("what to select by is a list of words")
    return tuple(value)


def _state_word(entry: QueueEntry) -> str:
    """As the others see it, but of what waits: whether it was tried."""
    return DEFERRED if entry.state == WAITING and entry.attempts else entry.state


def _is_any(address: str, patterns: tuple[str, ...]) -> bool:
    """`anna@example.org` matches itself, `example.org`, `@example.org` and patterns with a star."""
    text = address.lower()
    domain = text.rpartition("@")[2]
    return any(
        fnmatchcase(text if "@" in pattern.lstrip("@") or pattern == "<>" else domain, pattern.lstrip("@").lower())
        for pattern in patterns
    )
