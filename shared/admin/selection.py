"""Which entries a verb is about: ids, lanes, senders and recipients, the same options for every verb."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import click

from shared.admin.entries import QueueEntry, list_entries
from shared.routing.lane import Lane
from shared.spool.ids import normalize_id
from shared.spool.names import EntryName
from shared.spool.spool import Spool

LANE_WORDS = [lane.word for lane in Lane]


@dataclass(frozen=True)
class Selection:
    """Empty fields select everything; together they narrow. Patterns are addresses or domains, `*` allowed."""

    ids: frozenset[str] = frozenset()
    lanes: tuple[Lane, ...] = ()
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.ids or self.lanes or self.senders or self.recipients)

    def entries(self, spool: Spool, default: Collection[Lane]) -> Iterator[QueueEntry]:
        """What is selected, of the lanes named or of the `default` ones."""
        for entry in list_entries(spool, self.lanes or default, self._has_id):
            if self._matches(entry):
                yield entry

    def _has_id(self, parts: EntryName) -> bool:
        return not self.ids or parts.id in self.ids

    def _matches(self, entry: QueueEntry) -> bool:
        if self.senders and not _is_any(entry.sender or "<>", self.senders):
            return False
        everyone = (*entry.recipients, *entry.settled)
        return not self.recipients or any(_is_any(address, self.recipients) for address in everyone)


def _is_any(address: str, patterns: tuple[str, ...]) -> bool:
    """`anna@example.org` matches itself, `example.org`, `@example.org` and patterns with a star."""
    text = address.lower()
    domain = text.rpartition("@")[2]
    return any(
        fnmatchcase(text if "@" in pattern.lstrip("@") or pattern == "<>" else domain, pattern.lstrip("@").lower())
        for pattern in patterns
    )


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
    @functools.wraps(command)
    def with_selection(
        *args: Any,
        ids: tuple[str, ...],
        to: tuple[str, ...],
        sender: tuple[str, ...],
        lane: tuple[str, ...],
        **options: Any,
    ) -> Any:
        lanes = tuple(Lane(f".{word}") for word in lane)
        return command(*args, selection=Selection(frozenset(ids), lanes, sender, to), **options)

    return with_selection
