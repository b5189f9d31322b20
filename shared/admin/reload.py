"""`mercury reload`: the daemons that run read the configuration again, and say whether they took it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from shared.admin.acting import DAEMONS
from shared.admin.command import DONE, NOTHING_MATCHED, SOME_FAILED, Office
from shared.admin.output import echo_json
from shared.admin.unit_files import PAGE
from shared.mail.reply import printable
from shared.service.control_client import Unanswered, ask, socket_path

#  Reading files, and workers that take the new orders.
_SECONDS = 60.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each daemon.")
@click.pass_obj
def reload(office: Office, as_json: bool) -> None:
    """Put the changed configuration in force. One with an error is refused, and the old one stays."""
    run, running, failed = office.config.run, 0, 0
    for daemon in (*DAEMONS, PAGE):
        wrong, is_down, changed, restart = asyncio.run(_ask(socket_path(run, daemon)))
        if daemon == PAGE and is_down:
            continue  #  most sites have none
        running += not is_down
        failed += bool(wrong) and not is_down
        if as_json:
            told = {"changed": changed, "restart": restart}
            echo_json({"daemon": daemon, "running": not is_down, "wrong": "" if is_down else wrong, **told})
        else:
            said = f"works by the configuration as it is now; changed: {', '.join(changed) or 'nothing'}"
            text = "does not run here" if is_down else wrong or said
            click.echo(printable(f"{daemon}: {text}"), err=bool(wrong) and not is_down)
            if restart:
                before = "`mercury setup`, as ports are systemd's, then " if "receive.listeners" in restart else ""
                click.echo(f"  not before a restart: {', '.join(restart)}: {before}`systemctl restart {daemon}`")
    sys.exit(SOME_FAILED if failed else DONE if running else NOTHING_MATCHED)


async def _ask(path: Path) -> tuple[str, bool, list[str], list[str]]:
    """What is wrong, whether nobody answers at all, which settings have changed, and which want a restart."""
    changed: list[str] = []
    restart: list[str] = []
    try:
        async for line in ask(path, {"do": "reload"}, _SECONDS):
            changed += map(str, line.get("changed", []))
            restart += map(str, line.get("restart", []))
    except Unanswered as trouble:
        return str(trouble), trouble.is_down, [], []
    return "", False, changed, restart
