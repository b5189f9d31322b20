"""`mercury queue`: see what waits, why, and do something about it. Reads the spool itself, daemons or none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict

import click

from shared.admin.actions import Action, Operator, operator
from shared.admin.census import Census, take_census
from shared.admin.command import DONE, NOTHING_MATCHED, SOME_FAILED, Office, PrefixGroup
from shared.admin.entries import QUEUED, WAITING, QueueEntry
from shared.admin.find import history_of
from shared.admin.output import age, echo_json, echo_table, octets, when
from shared.admin.queue_check import check
from shared.admin.selection import QueueId, Selection, changing, selecting
from shared.admin.spool import spool_of
from shared.admin.story import Step, tell
from shared.mail.reply import printable
from shared.routing.lane import Lane

#  More than this many at once are not touched without asking.
ASK_ABOVE = 10
MOVING = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the trail.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(cls=PrefixGroup, invoke_without_command=True)
@click.pass_context
def queue(ctx: click.Context) -> None:
    """See and steer the mail that waits. Without a verb: list."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_queue)


queue.add_command(check)


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
    elif rows := [_row(entry, now) for entry in entries]:
        is_any = True
        echo_table(("ID", "AGE", "SIZE", "FROM", "TO", "STATE", "LAST ERROR"), rows, right=("AGE", "SIZE"))
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
    return entry.id, age(now - entry.arrived), octets(entry.size), sender, to, _state(entry, now), entry.last_error


def _state(entry: QueueEntry, now: float) -> str:
    if entry.state != WAITING:
        return f"{entry.lane.word}: {entry.state}" if entry.lane.word != entry.state else entry.state
    due = "due" if entry.next_attempt <= now else when(entry.next_attempt, now)
    return f"{entry.lane.word}: {due}" + (f", tried {entry.attempts}x" if entry.attempts else "")


def _nothing() -> None:
    click.echo("Nothing matched.", err=True)
    sys.exit(NOTHING_MATCHED)


def count_text(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


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
        "state": _state(entry, now),
        "from": entry.sender or "<>",
        **{f"to {number}": address for number, address in enumerate(entry.recipients, 1)},
        **{f"settled {number}": address for number, address in enumerate(entry.settled, 1)},
        "arrived": when(entry.arrived, now),
        "size": f"{entry.size} octets",
        **({"last error": entry.last_error} if entry.last_error else {}),
        **details,
    }


@queue.command()
@click.argument("queue_id", type=QueueId(), metavar="ID")
@as_json
@click.pass_obj
def trail(office: Office, queue_id: str, as_json: bool) -> None:
    """What happened to a message, step by step; finished ones too, as long as the history is kept."""
    steps: list[Step] = tell(spool_of(office), history_of(office), queue_id)
    for step in steps:
        if as_json:
            echo_json(step.as_json())
        else:
            click.echo(step.line())
    if not steps:
        _nothing()


Verb = Callable[[Operator], Action]


def _act(
    office: Office, selection: Selection, lanes: Iterable[Lane], verb: Verb, done: str, reason: str = ""
) -> None:
    """Do it to each, say what became of it, and end with the exit code that sums it up."""
    spool = spool_of(office)
    entries = list(selection.entries(spool, tuple(lanes)))
    if not entries:
        _nothing()
    if selection.is_rehearsal:
        for entry in entries:
            click.echo(printable(f"{entry.id} {entry.lane.word}: nothing is done; else it {done}"))
        sys.exit(DONE)
    failed = 0
    try:
        hands: AbstractContextManager[Operator] = operator(office.config, spool, reason)
        with hands as who:
            action = verb(who)
            for entry in entries:
                wrong = _try(action, entry)
                failed += bool(wrong)
                click.echo(printable(f"{entry.id} {entry.lane.word}: {wrong or done}"), err=bool(wrong))
    except OSError as error:
        click.echo(printable(f"mercury: cannot change the spool {spool.root}: {error.strerror}"), err=True)
        sys.exit(SOME_FAILED)
    sys.exit(SOME_FAILED if failed else DONE)


def _try(action: Action, entry: QueueEntry) -> str:
    try:
        return action(entry)
    except OSError as error:
        return error.strerror or str(error)


def _require(selection: Selection, everything: bool = False) -> None:
    if selection.is_empty and not everything:
        raise click.UsageError(
            "say which: ids, or --to, --from, --lane and the like" + (", or --all" if not everything else "")
        )


def _confirm(office: Office, selection: Selection, lanes: Iterable[Lane], what: str, yes: bool, above: int) -> None:
    if yes or selection.is_rehearsal:
        return
    count = sum(1 for _ in selection.entries(spool_of(office), tuple(lanes)))
    if count <= above:
        return
    question = f"{what} {count_text(count)}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so with --yes")
    click.confirm(question, abort=True)


@queue.command()
@changing
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
@click.pass_obj
def retry(office: Office, selection: Selection, everything: bool) -> None:
    """Have entries tried now instead of at their next attempt."""
    if everything and selection.is_empty:
        if not any(True for _ in selection.entries(spool_of(office), MOVING)):
            click.echo("Nothing waits.")
            return
    else:
        _require(selection)
    _act(office, selection, MOVING, lambda who: who.retry, "is tried now")


@queue.command()
@changing
@reason_option
@yes_option
@click.pass_obj
def hold(office: Office, selection: Selection, reason: str, yes: bool) -> None:
    """Keep entries from being delivered until they are released."""
    _require(selection)
    lanes = (*MOVING, Lane.HOLD)  #  what the configuration holds can be held by hand too, and stays then
    _confirm(office, selection, lanes, "Hold", yes, ASK_ABOVE)
    _act(office, selection, lanes, lambda who: who.hold, "is held", reason)


@queue.command()
@changing
@yes_option
@click.pass_obj
def release(office: Office, selection: Selection, yes: bool) -> None:
    """Let held entries go where they were bound for."""
    _require(selection)
    _confirm(office, selection, (Lane.HOLD,), "Release", yes, ASK_ABOVE)
    _act(office, selection, (Lane.HOLD,), lambda who: who.release, "is released")


@queue.command()
@changing
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the trail.")
@yes_option
@click.pass_obj
def remove(office: Office, selection: Selection, reason: str, yes: bool) -> None:
    """Take entries out of the queue, unsent; `undelete` brings them back."""
    _require(selection)
    _confirm(office, selection, QUEUED, "Remove", yes, 0)
    _act(office, selection, QUEUED, lambda who: who.remove, "is removed; `mercury queue undelete` undoes it", reason)


@queue.command()
@changing
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the trail.")
@yes_option
@click.pass_obj
def undelete(office: Office, selection: Selection, reason: str, yes: bool) -> None:
    """Put removed entries back where they were."""
    _require(selection)
    _confirm(office, selection, (Lane.TRASH,), "Bring back", yes, ASK_ABOVE)
    _act(office, selection, (Lane.TRASH,), lambda who: who.undelete, "is back", reason)
