"""`mercury queue trail`: what happened to one message, from the spool and the history."""

from __future__ import annotations

import sys

import click

from shared.admin.command import NOTHING_MATCHED, Office
from shared.admin.find import history_of
from shared.admin.output import echo_json
from shared.admin.selection import QueueId
from shared.admin.spool import spool_of
from shared.admin.steps import line_of
from shared.survey.story import tell


@click.command()
@click.argument("queue_id", type=QueueId(), metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def trail(office: Office, queue_id: str, as_json: bool) -> None:
    """What happened to a message, step by step; finished ones too, as long as the history is kept."""
    steps = tell(spool_of(office), history_of(office), queue_id)
    for step in steps:
        if as_json:
            echo_json(step.as_json())
        else:
            click.echo(line_of(step))
    if not steps:
        click.echo("Nothing matched.", err=True)
        sys.exit(NOTHING_MATCHED)
