"""`mercury queue shape`: how old what waits is, by destination; a wave of trouble is seen as a column."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import click

from shared.admin.command import Office
from shared.admin.output import echo_json, echo_table
from shared.admin.progress import Progress
from shared.admin.selection import selecting
from shared.admin.spool import spool_of
from shared.admin.table import Shape
from shared.spool.queue_entry import QUEUED, QueueEntry
from shared.spool.selection import Selection

#  Upper bounds in seconds; each doubles the one before, as qshape of Postfix has it.
BOUNDS = {"5m": 300, "10m": 600, "20m": 1200, "40m": 2400, "80m": 4800, "3h": 10800, "6h": 21600, "1d": 86400}
OLDER = "older"
TOTAL = "TOTAL"
_ROWS = 20


@click.command()
@selecting
@click.option("--by", type=click.Choice(("to", "from")), default="to", help="Domains of recipients, or of senders.")
@click.option("--all", "whole", is_flag=True, help=f"Every domain, not only the {_ROWS} with most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each domain.")
@click.pass_obj
def shape(office: Office, selection: Selection, by: str, whole: bool, as_json: bool) -> None:
    """How long what waits has been waiting, for each domain. A message for two of them counts in both."""
    entries = Progress("reading the queue").over(selection.entries(spool_of(office), QUEUED))
    rows = count(entries, time.time(), by)
    if rows[TOTAL].total() == 0:
        click.echo("The queue is empty." if selection.is_empty else "Nothing matched.", err=not selection.is_empty)
        return
    order = sorted((name for name in rows if name != TOTAL), key=lambda name: (-rows[name].total(), name))
    shown = order if whole or as_json else order[:_ROWS]
    if as_json:
        for name in (TOTAL, *shown):
            echo_json({"domain": name, "total": rows[name].total(), "ages": _ages(rows[name])})
        return
    columns = ("", "TOTAL", *(f"<{bound}" for bound in BOUNDS), OLDER.upper())
    table = [
        (name, str(rows[name].total()), *(str(n or ".") for n in _ages(rows[name]).values()))
        for name in (TOTAL, *shown)
    ]
    echo_table(columns, table, Shape(right=columns[1:], giving=columns[:1]))
    if len(order) > len(shown):
        click.echo(f"and {len(order) - len(shown)} more domains: --all")


def count(entries: Iterable[QueueEntry], now: float, by: str) -> dict[str, Counter[str]]:
    """Domain → age → entries; TOTAL counts each entry once."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    rows[TOTAL] = Counter()
    for entry in entries:
        age = _age(now - entry.arrived)
        rows[TOTAL][age] += 1
        addresses = entry.recipients if by == "to" else (entry.sender,)
        for domain in {address.rpartition("@")[2] or "<>" for address in addresses}:
            rows[domain][age] += 1
    return rows


def _age(seconds: float) -> str:
    return next((name for name, bound in BOUNDS.items() if seconds < bound), OLDER)


def _ages(row: Mapping[str, int]) -> dict[str, int]:
    return {name: row.get(name, 0) for name in (*BOUNDS, OLDER)}
