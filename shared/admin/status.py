"""`mercury status`: do the daemons run, what waits, how much room is left; one screen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from shared.admin.command import Office
from shared.admin.output import age, count_text, echo_json, octets
from shared.admin.spool import spool_of
from shared.admin.trouble import Trouble
from shared.admin.well import troubles
from shared.config.model import Config
from shared.mail.reply import printable
from shared.oauth.standing import standing_of
from shared.oauth.token_file import TokenFile
from shared.routing.lane import Lane
from shared.service.lock import lock_path, running_pid
from shared.service.status_file import read_status
from shared.spool.spool import Spool
from shared.survey.census import count_entries

DAEMONS = {"mercury-s": "MercuryS", "mercury-c": "MercuryC", "mercury-e": "MercuryE"}
PAGE = "mercury-web"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def status(office: Office, as_json: bool) -> None:
    """Is everything well, and if not, what to do; then the daemons, the queue and the disk."""
    spool = spool_of(office)
    run = office.config.run
    daemons = {name: _daemon(spool.root, run, name) for name in DAEMONS}
    if office.config.web.listen:
        daemons[PAGE] = _daemon(run, run, PAGE)
    lanes = {lane.word: _lane(spool, lane) for lane in Lane}
    free = _free(spool)
    accounts = oauth_standings(office.config, time.time())
    wrong = list(troubles(office.config, spool, daemons, lanes, free, accounts))
    if as_json:
        found = {"daemons": daemons, "lanes": lanes, "free": free, "oauth": accounts}
        echo_json({**found, "well": not wrong, "troubles": [asdict(one) for one in wrong]})
        return
    _echo_verdict(wrong)
    for name, state in daemons.items():
        click.echo(f"{DAEMONS.get(name, 'page'):<9} {state['text']}")
    for word, lane in lanes.items():
        if lane["entries"] or word in ("local", "relay", "direct"):
            click.echo(f"{word:<9} {_lane_text(lane)}")
    for account, state in accounts.items():
        click.echo(f"{'oauth':<9} {account}: {state['text']}")
    click.echo(f"{'disk':<9} {octets(free) + ' free' if free is not None else 'not readable'} in {spool.root}")


def _echo_verdict(wrong: Sequence[Trouble]) -> None:
    if not wrong:
        click.secho("All is well.\n", fg="green")
        return
    click.secho("1 thing needs you:" if len(wrong) == 1 else f"{len(wrong)} things need you:", fg="red", bold=True)
    for one in wrong:
        click.echo(printable(f"  {one.what}"))
        click.echo(printable(f"      {one.do}"))
    click.echo()


def oauth_standings(config: Config, now: float) -> dict[str, dict[str, object]]:
    """How the accounts stand whose tokens MercuryC fetches, by their names."""
    found: dict[str, dict[str, object]] = {}
    for name, settings in config.oauth.items():
        try:
            kept = TokenFile(config.state, name, settings).read()
        except OSError as error:
            found[name] = {"state": "unknown", "expires": None, "text": f"not known: {error.strerror}"}
            continue
        standing = standing_of(name, settings, kept, now)
        expires = kept.expires if kept.token else None
        found[name] = {"state": standing.word.value, "expires": expires, "text": standing.text}
    return found


def _daemon(locks: Path, run: Path, name: str) -> dict[str, object]:
    """`at`: when it last said how it is."""
    try:
        pid = running_pid(lock_path(locks, name))
    except OSError as error:
        return {"running": None, "pid": None, "at": None, "text": f"not known: {error.strerror}"}
    if pid is None:
        return {"running": False, "pid": None, "at": None, "text": "not running on this host"}
    said = read_status(run, name, pid)
    words = f": {printable(said['status'])}" if said else ""
    return {"running": True, "pid": pid, "at": said["at"] if said else None, "text": f"running, pid {pid}{words}"}


def _lane(spool: Spool, lane: Lane) -> dict[str, float | int | None]:
    try:
        census = count_entries(spool, lane)
    except PermissionError:
        return {"entries": None, "octets": None, "oldest": None}
    return {"entries": census.entries, "octets": census.octets, "oldest": census.oldest}


def _lane_text(lane: Mapping[str, float | int | None]) -> str:
    if lane["entries"] is None:
        return "not readable"
    if not lane["entries"] or lane["oldest"] is None:
        return "empty"
    size = octets(int(lane["octets"] or 0))
    return f"{count_text(int(lane['entries'] or 0))}, {size}, oldest {age(time.time() - lane['oldest'])}"


def _free(spool: Spool) -> int | None:
    try:
        return spool.free_bytes()
    except OSError:
        return None
