"""`mercury config import`: a configuration proposed from that of another mail server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shared.admin.command import SOME_FAILED, USAGE
from shared.admin.mercury_ini import decode, read_ini
from shared.admin.proposal import propose
from shared.config.load import ConfigErrors, parse
from shared.mail.reply import printable


@click.command("import")
@click.argument("ini", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="MERCURY.INI")
@click.option("--output", type=click.Path(path_type=Path), help="Write it here, if there is no such file yet.")
def import_configuration(ini: Path, output: Path | None) -> None:
    """Propose a configuration from the one of Mercury/32. Nothing is put in force.

    The proposal goes to standard output, what was not taken over and what is left to do to standard error.
    Exit code 1 when the proposal has errors to be mended first; they are said, too.
    """
    proposal = propose(read_ini(decode(ini.read_bytes())))
    if output is None:
        click.echo(proposal.text, nl=False)
    else:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(proposal.text)
        except FileExistsError:
            click.echo(printable(f"mercury: {output} is there already; name another file"), err=True)
            sys.exit(USAGE)
    for note in proposal.notes:
        click.echo(printable(f"{ini.name}: {note}"), err=True)
    try:
        parse(proposal.text, (output or Path("mercury.yaml")).absolute())
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(printable(str(problem)), err=True)
        sys.exit(SOME_FAILED)
