"""`mercury queue`: see what waits and why. Reads the spool itself, daemons or none.

What changes something is queue_verbs.py, what mends queue_check.py, what happened to a message queue_trail.py, what
was done audit.py.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import click

from shared.admin.command import NOTHING_MATCHED, Nouns, Office
from shared.admin.output import age, count_text, echo_json, echo_table, octets, when
from shared.admin.progress import Progress
from shared.admin.selection import QueueId, selecting
from shared.admin.spool import spool_of
from shared.admin.table import Shape
from shared.mail.reply import printable
from shared.routing.lane import Lane
from shared.spool.queue_entry import QUEUED, WAITING, QueueEntry
from shared.spool.selection import Selection
from shared.survey.census import Census, take_census

MOVING = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT)
_SHAPE = Shape(right=("AGE", "SIZE"), giving=("FROM", "TO"), is_split=True)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


#  To look at the queue is to be quick; what changes it needs half the suite.
_VERBS = (
    "retry", "hold", "release", "remove", "undelete", "purge", "bounce", "drop", "change", "priority", "reroute"
)  # fmt: skip
_MODULES = {
    "check": "shared.admin.queue_check:check",
    "shape": "shared.admin.queue_shape:shape",
    "trail": "shared.admin.queue_trail:trail",
    **{verb: f"shared.admin.queue_verbs:{verb}" for verb in _VERBS},
}


class _Listing(Nouns):
    """Options before any verb are those of `list`, as `mercury queue` is said to be a listing."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names and not ctx.resilient_parsing:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Listing, modules=_MODULES, invoke_without_command=True)
@click.pass_context
def queue(ctx: click.Context) -> None:
    """See and steer the mail that waits. Without a verb: list."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_queue)


@queue.command("list")
@selecting
@as_json
@click.pass_obj
def list_queue(office: Office, selection: Selection | None = None, as_json: bool = False) -> None:
    """The entries, lane by lane; removed ones with --lane trash."""
    selection = selection or Selection()
    now = time.time()
    entries = selection.entries(spool_of(office), QUEUED)
    is_any = False
    if as_json:
        for entry in entries:
            is_any = True
            echo_json(entry.as_json())
    elif rows := [_row(entry, now) for entry in Progress("reading the queue").over(entries)]:
        is_any = True
        echo_table(("ID", "AGE", "SIZE", "FROM", "TO", "STATE", "LAST ERROR"), rows, _SHAPE)
    elif selection.is_empty:
        click.echo("The queue is empty.")
    if not is_any and not selection.is_empty:
        _nothing()


def _row(entry: QueueEntry, now: float) -> tuple[str, ...]:
    recipients = entry.recipients or entry.settled
    to = recipients[0] if recipients else ""
    if len(recipients) > 1:
        to += f" +{len(recipients) - 1}"
    sender = entry.sender or ("<>" if entry.envelope else "")
    return (
        entry.id,
        age(now - entry.arrived),
        octets(entry.size),
        sender,
        to,
        state_text(entry, now),
        entry.last_error,
    )


def state_text(entry: QueueEntry, now: float) -> str:
    """Its lane, when it is tried next, and how often it was."""
    if entry.state != WAITING:
        return f"{entry.lane.word}: {entry.state}" if entry.lane.word != entry.state else entry.state
    due = "due" if entry.next_attempt <= now else when(entry.next_attempt, now)
    return f"{entry.lane.word}: {due}" + (f", tried {entry.attempts}x" if entry.attempts else "")


def _nothing() -> None:
    click.echo("Nothing matched.", err=True)
    sys.exit(NOTHING_MATCHED)


@queue.command()
@as_json
@click.pass_obj
def summary(office: Office, as_json: bool) -> None:
    """How much waits in each lane, how old it is and where it is bound for.

    By names alone: sizes are those of the files. Of a lane of thousands the domains are an estimate by a sample.
    """
    now, spool = time.time(), spool_of(office)
    for lane in Lane:
        census = take_census(spool, lane)
        if as_json:
            echo_json({"lane": lane.word, **asdict(census)})
        elif census.entries or lane in MOVING:
            click.echo(_summary_line(lane, census, now))


def _summary_line(lane: Lane, census: Census, now: float) -> str:
    if census.oldest is None:
        return f"{lane.word:<7} empty"
    bound = ", ".join(f"{printable(domain)} {count}" for domain, count in census.domains.items())
    about = "about " if census.sampled < census.entries else ""
    return (
        f"{lane.word:<7} {count_text(census.entries)}, {octets(census.octets)}: {census.active} active, "
        f"{census.deferred} deferred, oldest {age(now - census.oldest)}"
    ) + (f"; for {about}{bound}" if bound else "")


@queue.command()
@click.argument("queue_id", type=QueueId(), metavar="ID")
@as_json
@click.pass_obj
def show(office: Office, queue_id: str, as_json: bool) -> None:
    """Everything about one message: its envelope and each of its entries."""
    now, count = time.time(), 0
    for count, entry in enumerate(Selection(frozenset([queue_id])).entries(spool_of(office), tuple(Lane)), 1):
        if as_json:
            echo_json(entry.as_json() | _details(entry))
            continue
        if count > 1:
            click.echo()
        for key, value in _shown(entry, now).items():
            click.echo(f"{key:<13} {printable(value)}")
    if not count:
        _nothing()


def _details(entry: QueueEntry) -> dict[str, object]:
    envelope = entry.envelope
    if envelope is None:
        return {"path": entry.path}
    return {
        "site": envelope.site,
        "login": envelope.login,
        "client": envelope.client,
        "body": envelope.body.value,
        "smtputf8": envelope.smtputf8,
        "cause": envelope.cause,
        "path": entry.path,
    }


def _shown(entry: QueueEntry, now: float) -> dict[str, str]:
    details = {key: str(value) for key, value in _details(entry).items() if value}
    return {
        "id": entry.id,
        "state": state_text(entry, now),
        "from": entry.sender or "<>",
        **{f"to {number}": address for number, address in enumerate(entry.recipients, 1)},
        **{f"settled {number}": address for number, address in enumerate(entry.settled, 1)},
        "arrived": when(entry.arrived, now),
        "size": f"{entry.size} octets",
        **({"last error": entry.last_error} if entry.last_error else {}),
        **details,
    }
