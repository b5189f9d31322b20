"""Which entries a verb is about: the same options for every verb, and `--dry-run` for those that change something.

What a name says (id, age, size) is asked before a file is opened.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import inf
from typing import Any

import click

from shared.admin.entries import ACTIVE, DAMAGED, HELD, TRASH, WAITING, QueueEntry, list_entries
from shared.config.scalars import parse_duration, parse_size
from shared.routing.lane import Lane
from shared.spool.ids import normalize_id
from shared.spool.names import EntryName
from shared.spool.spool import Spool

DEFERRED = "deferred"
STATE_WORDS = [WAITING, DEFERRED, ACTIVE, HELD, TRASH, DAMAGED]
LANE_WORDS = [lane.word for lane in Lane]


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


class Measure(click.ParamType[float]):
    """A duration or a size, as in the configuration."""

    def __init__(self, name: str, parse: Callable[[object], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class QueueId(click.ParamType[str]):
    """An id as somebody types it: lower case and a missing dash are understood."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return normalize_id(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ids and selection options to a click command, which is given `selection`."""

    @click.argument("ids", nargs=-1, type=QueueId(), metavar="[ID]...")
    @click.option("--to", multiple=True, metavar="PATTERN", help="Of which a recipient is this address or domain.")
    @click.option("--from", "sender", multiple=True, metavar="PATTERN", help="From this address, domain, or '<>'.")
    @click.option("--lane", multiple=True, type=click.Choice(LANE_WORDS), help="In this lane.")
    @click.option("--site", multiple=True, metavar="NAME", help="From clients of this site.")
    @click.option("--state", multiple=True, type=click.Choice(STATE_WORDS), help="In this state.")
    @click.option("--error", multiple=True, metavar="TEXT", help="With this in its last error.")
    @click.option("--older", type=Measure("time", parse_duration), metavar="TIME", help="That came before: 2h, 3d.")
    @click.option("--larger", type=Measure("size", parse_size), metavar="SIZE", help="Than this: 512K, 5M.")
    @functools.wraps(command)
    def with_selection(
        *args: Any,
        ids: tuple[str, ...],
        to: tuple[str, ...],
        sender: tuple[str, ...],
        lane: tuple[str, ...],
        site: tuple[str, ...],
        state: tuple[str, ...],
        error: tuple[str, ...],
        older: float | None,
        larger: float | None,
        dry_run: bool = False,
        **options: Any,
    ) -> Any:
        lanes = tuple(Lane(f".{word}") for word in lane)
        before = inf if older is None else time.time() - older
        selection = Selection(
            frozenset(ids), lanes, sender, to, site, state, error, before, int(larger or 0), dry_run
        )
        return command(*args, selection=selection, **options)

    return with_selection


def changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `selecting`, for a command that changes what is selected."""
    with_selection: Callable[..., Any] = selecting(command)
    help = "Say what would be done, and do nothing."
    return click.option("--dry-run", is_flag=True, help=help)(with_selection)
