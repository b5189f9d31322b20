"""`mercury blacklist`: which clients MercuryS does not let in for now. The daemon sees a change within a second.

Here: the verbs. Not here: the list and its file (shared/state), who is put on it by itself (mercury_s/porter.py).
"""

from __future__ import annotations

import math
import sys
import time
from typing import NoReturn

import click

from shared.admin.caller import caller, tell_action
from shared.admin.command import NOTHING_MATCHED, SOME_FAILED, USAGE, Office, PrefixGroup
from shared.admin.output import echo_json, echo_table, fail, moment, when
from shared.config.model import Config
from shared.config.scalars import parse_duration
from shared.mail.reply import printable
from shared.state.blacklist import Entry
from shared.state.blacklist_file import BlacklistFile


@click.group(cls=PrefixGroup)
def blacklist() -> None:
    """Clients that are not let in: list, add, remove.

    Clients of a site's network, and those that a rule exempts, come in all the same.
    """


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
reason_option = click.option("--reason", default="", help="Why; kept with the entry.")


@blacklist.command(name="list")
@json_option
@click.pass_obj
def list_entries(office: Office, as_json: bool) -> None:
    """Who is on it, the one that ends first first."""
    try:
        entries = _file(office.config).entries()
    except OSError as error:
        _fail_with(error)
    now = time.time()
    if as_json:
        for entry in entries:
            echo_json(_fields(entry))
    elif entries:
        rows = [
            (str(entry.network), _end(entry, now), when(entry.added, now), entry.by, entry.reason)
            for entry in entries
        ]
        echo_table(("CLIENT", "ENDS", "ADDED", "BY", "REASON"), rows)
    else:
        click.echo("Nobody is on the blacklist.")


@blacklist.command()
@click.argument("client")
@click.option("--for", "span", metavar="TIME", help="How long, like 30m or 5d; until it is removed, unless given.")
@reason_option
@json_option
@click.pass_obj
def add(office: Office, client: str, span: str | None, reason: str, as_json: bool) -> None:
    """Refuse CLIENT, an IP address or a network. An IPv6 address stands for its /64."""
    try:
        seconds = None if span is None else parse_duration(int(span) if span.isdigit() else span)
        entry = _file(office.config).add(client, reason or "added by hand", seconds)
    except ValueError as error:
        fail(str(error), USAGE)
    except OSError as error:
        _fail_with(error)
    tell_action(office.config, "blacklist-added", reason, client=str(entry.network))
    if as_json:
        echo_json(_fields(entry))
    else:
        click.echo(f"{entry.network} is refused {_until(entry)}")


@blacklist.command()
@click.argument("clients", nargs=-1, required=True)
@reason_option
@json_option
@click.pass_obj
def remove(office: Office, clients: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Let CLIENTS in again, each written as `list` shows it, or as the address it was added by."""
    file = _file(office.config)
    missing = 0
    for client in clients:
        try:
            entry = file.remove(client)
        except ValueError as error:
            fail(str(error), USAGE)
        except OSError as error:
            _fail_with(error)
        if entry is None:
            missing += 1
            click.echo(printable(f"mercury: {client} is not on the blacklist"), err=True)
            continue
        tell_action(office.config, "blacklist-removed", reason, client=str(entry.network))
        if as_json:
            echo_json(_fields(entry))
        else:
            click.echo(f"{entry.network} may come in again")
    if missing:
        sys.exit(NOTHING_MATCHED if missing == len(clients) else SOME_FAILED)


def _file(config: Config) -> BlacklistFile:
    return BlacklistFile(config.state, time.time, time.monotonic, caller().by)


def _fields(entry: Entry) -> dict[str, object]:
    until = None if math.isinf(entry.until) else round(entry.until, 3)
    return {
        "client": str(entry.network),
        "until": until,
        "added": round(entry.added, 3),
        "by": entry.by,
        "reason": entry.reason,
    }


def _end(entry: Entry, now: float) -> str:
    return "never" if math.isinf(entry.until) else when(entry.until, now)


def _until(entry: Entry) -> str:
    return "until it is removed" if math.isinf(entry.until) else f"until {moment(entry.until)}"


def _fail_with(error: OSError) -> NoReturn:
    fail(f"{error.filename or 'the blacklist'}: {error.strerror}", SOME_FAILED)
