"""`mercury sendmail`: the sendmail command as a noun of `mercury`, for where nothing is linked to its usual name."""

from __future__ import annotations

import sys

import click

from shared.admin.command import Office
from shared.admin.sendmail import run


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    }
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def sendmail(office: Office, arguments: tuple[str, ...]) -> None:
    """Send the message on standard input, as sendmail(8): -t -i -f SENDER -F NAME -bs -bp."""
    given = ["--config", str(office.path), *arguments]
    sys.exit(run(given, sys.stdin.buffer, sys.stdout.buffer, lambda text: click.echo(text, err=True)))
