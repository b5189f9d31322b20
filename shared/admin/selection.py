"""The options that say which entries a verb is about, the same for every verb, and `--dry-run` for those that change
something. What is selected by them is shared/spool/selection.py."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from math import inf
from typing import Any

import click
from click.shell_completion import CompletionItem

from shared.admin.completing import complete_ids, complete_sites
from shared.config.scalars import parse_duration, parse_size
from shared.routing.lane import Lane
from shared.spool.ids import normalize_id
from shared.spool.selection import LANE_WORDS, STATE_WORDS, Selection


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

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return complete_ids(ctx, param, incomplete)


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ids and selection options to a click command, which is given `selection`."""

    @click.argument("ids", nargs=-1, type=QueueId(), metavar="[ID]...")
    @click.option("--to", multiple=True, metavar="PATTERN", help="Of which a recipient is this address or domain.")
    @click.option("--from", "sender", multiple=True, metavar="PATTERN", help="From this address, domain, or '<>'.")
    @click.option("--lane", multiple=True, type=click.Choice(LANE_WORDS), help="In this lane.")
    @click.option(
        "--site", multiple=True, metavar="NAME", shell_complete=complete_sites, help="Of clients of this site."
    )
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
