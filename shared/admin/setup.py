"""`mercury setup`: install as services of systemd, change the way, take them away again. Safe to run twice."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import click

from shared.admin.command import DONE, SOME_FAILED, USAGE
from shared.admin.installation import CommandFailed, Host, Step, plan_package, plan_removal, plan_setup
from shared.admin.unit_files import CONFIG, PROGRAMS, WAYS
from shared.config.load import ConfigErrors, load
from shared.mail.reply import printable

#  What ProtectHome= hides from the daemons.
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))

_NEXT = f"now say in {CONFIG} what this site is, `mercury config check`, and run this again"


@click.command()
@click.option("--relay", "what", flag_value="relay", help="MercuryS and MercuryC: mail leaves by a smarthost.")
@click.option("--direct", "what", flag_value="direct", help="MercuryS and MercuryE: mail goes to its destination.")
@click.option("--auto", "what", flag_value="auto", help="All three.")
@click.option("--package", "what", flag_value="package", help="Only units, accounts and folders, for a package.")
@click.option("--remove", "what", flag_value="remove", help="Take the services away. Mail and configuration stay.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Work in this tree instead of this host; nothing is started.",
)
@click.option("--programs", default=None, help="The folder of the programs. Default: where this command is.")
def setup(what: str | None, dry_run: bool, root: Path, programs: str | None) -> None:
    """Install the daemons as services: units, accounts, folders, configuration; enable and start them.

    Run it again after the listeners of the configuration have changed: each has a socket unit of its own.
    """
    if what is None:
        raise click.UsageError("say --relay, --direct or --auto; or --remove, or --package")
    host = Host(root.resolve(), programs or _programs(root), is_package=what == "package")
    if host.is_live and os.geteuid() != 0 and not dry_run:
        raise click.UsageError("only root can do that; --dry-run says what it would do")
    if host.is_live and what != "remove":
        _refuse_hidden(host)
    sys.exit(_carry_out(host, what, dry_run))


def _say_what_is_left_behind(host: Host, way: str) -> None:
    """Mail in the lane of a daemon that this way does not run would wait for ever."""
    spool = host.at(str(load(host.at(CONFIG)).spool))
    for daemon, lane in (("mercury-c", "relay"), ("mercury-e", "direct")):
        folder = spool / f".{lane}" / "new"
        if daemon not in WAYS[way] and folder.is_dir() and any(folder.iterdir()):
            click.echo(
                f"mail waits in the lane {lane}, and {daemon} does not run this way: `systemctl start {daemon}` until"
                " `mercury queue summary` shows none there",
                err=True,
            )


def _plan(host: Host, what: str) -> Iterator[Step]:
    if what == "remove":
        return plan_removal(host)
    return plan_package(host) if what == "package" else plan_setup(host, what)


def _carry_out(host: Host, what: str, dry_run: bool) -> int:
    is_first = not host.at(CONFIG).exists()
    try:
        for step in _plan(host, what):
            click.echo(printable(f"would {step.words}" if dry_run else step.words))
            if not dry_run:
                step.do()
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(printable(str(problem)), err=True)
        return USAGE
    except CommandFailed as failure:
        click.echo(printable(f"mercury: {failure}; put that right and run setup again"), err=True)
        return SOME_FAILED
    if what in ("relay", "direct", "auto") and not dry_run:
        #  The second time there is nothing left to say.
        click.echo(f"done; {_NEXT}" if is_first else "done")
        _say_what_is_left_behind(host, what)
    return DONE


def _programs(root: Path) -> str:
    return sysconfig.get_path("scripts") if root == Path("/") else PROGRAMS


def _refuse_hidden(host: Host) -> None:
    daemon = Path(host.programs, "mercury-s")
    if not daemon.is_file():
        raise click.UsageError(f"there is no {daemon}: name the folder of the programs with --programs")
    for path in (daemon.resolve(), Path(sys.executable).resolve()):
        if any(path.is_relative_to(hidden) for hidden in _HIDDEN):
            raise click.UsageError(
                f"the services cannot see {path}: make an environment outside of home folders, with the system's"
                " python3: /usr/bin/python3 -m venv /opt/mercury"
            )
