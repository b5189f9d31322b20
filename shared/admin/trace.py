"""`mercury trace s|c|e`: the dialogues of a daemon as they happen, without secrets, until Ctrl-C.

The daemon shows them over its control socket (shared/service/onlooker.py), each worker of MercuryS over its own; a
worker that takes the place of another is followed, too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click

from shared.admin.command import NOTHING_MATCHED, Office
from shared.admin.output import echo_json
from shared.mail.reply import printable
from shared.observe.tap import CLIENT, SERVER
from shared.service.control_client import Declined, Unanswered, ask, socket_path
from shared.service.onlooker import BEAT_SECONDS

#  Seconds until the processes of the daemon are looked for again.
_LOOK_AGAIN = 1.0
_MARKS = {CLIENT: "C:", SERVER: "S:"}


@click.command()
@click.argument("daemon", type=click.Choice(["s", "c", "e"]))
@click.option("--client", default="", metavar="ADDR|NET", help="Only this client; for MercuryS.")
@click.option("--peer", default="", metavar="HOST|ADDR|NET", help="Only this next hop; for MercuryC and MercuryE.")
@click.option("--to", default="", metavar="ADDR|DOMAIN", help="Only dialogues with such a recipient.")
@click.option("--id", "queue_id", default="", metavar="ID", help="Only dialogues about this queue id.")
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), help="End after that many seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def trace(
    office: Office,
    daemon: str,
    client: str,
    peer: str,
    to: str,
    queue_id: str,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Show the dialogues of MercuryS, MercuryC or MercuryE as they happen; Ctrl-C ends it.

    All workers of MercuryS are shown. Connections that begin from now on are shown, TLS or not, in clear text as the
    daemon sees them. Logins are replaced and of messages only the size is told. It is for root, the account of the
    daemon, the group of the spool and `control.viewers`.
    """
    if (peer and daemon == "s") or (client and daemon != "s"):
        raise click.UsageError("--client is for s, --peer for c and e")
    if client:
        try:
            ip_network(client, strict=False)
        except ValueError as error:
            raise click.UsageError(f"--client: {error}") from error
    request = {"do": "trace", "peer": client or peer, "to": to, "id": queue_id}
    try:
        asyncio.run(_watch(office.config.run, f"mercury-{daemon}", request, seconds, as_json))
    except KeyboardInterrupt:
        pass
    except Unanswered as trouble:
        click.echo(printable(str(trouble)), err=True)
        sys.exit(NOTHING_MATCHED if trouble.is_down else 1)


async def _watch(run: Path, name: str, request: Mapping[str, Any], seconds: float | None, as_json: bool) -> None:
    """Every process of the daemon, those that begin later, too. Returns when the time is over. Raises Unanswered when
    there is none, or none any more, or one says no."""
    following: dict[Path, asyncio.Task[None]] = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                for path in _sockets(run, name) - set(following):
                    following[path] = asyncio.create_task(_follow(path, request, as_json))
                await asyncio.wait(following.values(), timeout=_LOOK_AGAIN)
                _leave_the_ended(following)
    except TimeoutError:
        return


def _sockets(run: Path, name: str) -> set[Path]:
    return {socket_path(run, name), *run.glob(f"{name}.[0-9]*.sock")}


def _leave_the_ended(following: dict[Path, asyncio.Task[None]]) -> None:
    """A worker that died leaves its place to another, or a socket that nobody listens at. Raises Unanswered."""
    ended = {path: task.exception() for path, task in following.items() if task.done()}
    for trouble in ended.values():
        assert trouble is not None, "who is followed does not end by itself"
        if not isinstance(trouble, Unanswered) or isinstance(trouble, Declined) or len(ended) == len(following):
            raise trouble
    for path, trouble in ended.items():
        del following[path]
        if isinstance(trouble, Unanswered) and not trouble.is_down:
            click.echo(f"{path.stem} has ended", err=True)


async def _follow(path: Path, request: Mapping[str, Any], as_json: bool) -> None:
    is_told = False
    async for line in ask(path, request, 3 * BEAT_SECONDS):
        if "watching" in line:
            if not is_told:
                click.echo(f"watching {path.stem}; Ctrl-C ends", err=True)
            is_told = True
            continue
        if as_json:
            echo_json({"process": path.stem, **line})
        else:
            click.echo(_line(path.stem, line))
        sys.stdout.flush()


def _line(process: str, line: Mapping[str, Any]) -> str:
    if "dropped" in line:
        return f"-- {line['dropped']} lines of {process} are not shown: they came faster than they were read"
    at = float(line["at"])
    clock = time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"
    worker = process.partition(".")[2]
    number = f"{worker}.{line['dialogue']}" if worker else str(line["dialogue"])
    return printable(f"{clock} {number} {line['peer']} {_MARKS.get(line['who'], '--')} {line['text']}")
