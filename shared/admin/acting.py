"""Carrying out an act from the command line: on the spool itself by whoever may write there, else by the control
socket of a daemon. What is found is told, asked about, done, and told again entry by entry."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict

import click

from shared.admin.caller import NAME, become_owner, owner_of, records_of
from shared.admin.command import DONE, NOTHING_MATCHED, SOME_FAILED, Office
from shared.admin.output import count_text, echo_json
from shared.admin.progress import Progress
from shared.admin.spool import spool_of
from shared.mail.reply import printable
from shared.observe.log import EventLog
from shared.routing.lane import Lane
from shared.service.acts import RETRY, VERBS, Act, End, audited
from shared.service.control_client import Unanswered, ask, let_go, relent, socket_path
from shared.service.operator import Hands
from shared.service.site_words import table_in_force
from shared.spool.owner import Owner
from shared.spool.queue_entry import QueueEntry
from shared.spool.selection import Selection
from shared.state.audit import AuditLog

#  More than this many at once are not touched without asking.
ASK_ABOVE = 10
_HINTS = {Lane.HOLD: "; `mercury queue release` lets it go", Lane.TRASH: "; `mercury queue undelete` brings it back"}
DAEMONS = ("mercury-s", "mercury-c", "mercury-e")


def act_on(office: Office, act: Act, *, yes: bool, as_json: bool) -> None:
    """Ends the command with the exit code that sums it up. Raises click.UsageError when it must be asked and nobody
    is there to answer."""
    try:
        if os.access(office.config.spool, os.W_OK | os.X_OK):
            _on_the_spool(office, act, yes, as_json)
        else:
            _by_a_daemon(office, act, yes, as_json)
    except OSError as error:
        where = error.filename or office.config.spool
        click.echo(printable(f"mercury: cannot change the queue: {where}: {error.strerror or error}"), err=True)
        sys.exit(SOME_FAILED)


# ---- on the spool ----


def _on_the_spool(office: Office, act: Act, yes: bool, as_json: bool) -> None:
    found = list(Progress("reading the queue").over(act.selection.entries(spool_of(office), VERBS[act.verb].lanes)))
    if not found:
        _say_where(office, act)
    _end_if_rehearsal(act, [(entry.id, entry.lane.word) for entry in found], as_json)
    _confirm(act, len(found), yes)
    config = office.config
    audit = AuditLog(config.state, time.time, owner_of(config.spool))
    try:
        if act.verb == RETRY:
            asyncio.run(relent(config.run))
        with _hands(office, act) as hands:
            ends = audited(act, found, hands, config, audit, "spool")
            sys.exit(asyncio.run(_show(ends, Progress(act.verb, total=len(found)), as_json)))
    finally:
        audit.close()


def _say_where(office: Office, act: Act) -> None:
    """Of ids in a lane that the verb is not for."""
    ids = act.selection.ids
    for entry in Selection(ids).entries(spool_of(office), tuple(Lane)) if ids else ():
        hint = _HINTS.get(entry.lane, "")
        click.echo(f"{entry.id} is in the lane {entry.lane.word}: {act.verb} is not for mail there{hint}", err=True)


@contextmanager
def _hands(office: Office, act: Act) -> Iterator[Hands]:
    """Raises OSError when the spool cannot be written."""
    config = office.config
    become_owner(config.spool)
    spool, log = spool_of(office), EventLog()
    owner = Owner(spool, NAME)
    owner.begin()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hands")
    try:
        log.open(NAME, records=records_of(config))

        async def wait(entry: QueueEntry, holder: str) -> str:
            return await let_go(config.run, entry, holder)

        yield Hands(
            spool, owner, table_in_force(config), executor, act.caller.by, act.reason, log.event, wait, time.time
        )
    finally:
        executor.shutdown()
        log.close()
        owner.end()


async def _show(ends: AsyncIterator[End], progress: Progress, as_json: bool) -> int:
    failed = 0
    async for end in ends:
        failed += bool(end.wrong)
        progress.clear()
        _echo(end, as_json)
        progress.step()
    progress.clear()
    return SOME_FAILED if failed else DONE


def _echo(end: End, as_json: bool) -> None:
    if as_json:
        echo_json(end.as_json())
    else:
        click.echo(printable(end.line()), err=bool(end.wrong))


# ---- by a daemon ----


def _by_a_daemon(office: Office, act: Act, yes: bool, as_json: bool) -> None:
    """For members of the daemons' group, who may not touch the files. The daemon knows the caller by itself."""
    request: dict[str, object] = {
        "do": "act",
        "verb": act.verb,
        "selection": act.selection.as_json(),
        "reason": act.reason,
        "options": dict(act.options),
    }
    try:
        found = asyncio.run(_all_of(_ask_any(office, {**request, "rehearse": True}), Progress("reading the queue")))
        _end_if_rehearsal(act, [(str(line["id"]), str(line["lane"])) for line in found], as_json)
        _confirm(act, len(found), yes)
        ends = (
            End(**{key: str(line.get(key, "")) for key in End.__slots__}) async for line in _ask_any(office, request)
        )
        code = asyncio.run(_show(ends, Progress(act.verb, total=len(found)), as_json))
    except Unanswered as trouble:
        click.echo(printable(f"mercury: {trouble}"), err=True)
        sys.exit(SOME_FAILED)
    sys.exit(code)


async def _all_of(lines: AsyncIterator[dict[str, object]], progress: Progress) -> list[dict[str, object]]:
    found = []
    async for line in lines:
        progress.step()
        found.append(line)
    progress.clear()
    return found


async def _ask_any(office: Office, request: dict[str, object]) -> AsyncIterator[dict[str, object]]:
    """Any daemon will do: it acts on the spool, not on its own lane. Raises Unanswered."""
    for daemon in DAEMONS:
        try:
            async for line in ask(socket_path(office.config.run, daemon), request, 600):
                yield line
            return
        except Unanswered as trouble:
            if not trouble.is_down:
                raise
    raise Unanswered(
        f"this account may not write to {office.config.spool}, and no daemon answers in {office.config.run}; "
        "act as root, or as a member of the daemons' group while they run"
    )


# ---- both ----


def _end_if_rehearsal(act: Act, found: list[tuple[str, str]], as_json: bool) -> None:
    if not found and act.verb == "retry" and act.selection.is_empty:
        click.echo("Nothing waits.")
        sys.exit(DONE)
    if not found:
        click.echo("Nothing matched.", err=True)
        sys.exit(NOTHING_MATCHED)
    if not act.selection.is_rehearsal:
        return
    for id, lane in found:
        end = End(id, lane, f"nothing is done; else it {VERBS[act.verb].done}")
        echo_json({**asdict(end), "rehearsal": True}) if as_json else click.echo(printable(end.line()))
    sys.exit(DONE)


def _confirm(act: Act, count: int, yes: bool) -> None:
    if yes or count <= (0 if VERBS[act.verb].is_grave else ASK_ABOVE):
        return
    question = f"{act.verb.capitalize()} {count_text(count)}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so with --yes")
    click.confirm(question, abort=True)
