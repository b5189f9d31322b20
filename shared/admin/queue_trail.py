"""`mercury queue trail`: what happened to one message, from the spool and the history."""

from __future__ import annotations

import sys
import time

import click

from shared.admin.command import NOTHING_MATCHED, Office
from shared.admin.find import history_of
from shared.admin.output import age, echo_json
from shared.admin.queue import state_text
from shared.admin.selection import QueueId
from shared.admin.spool import spool_of
from shared.admin.steps import lines_of
from shared.config.model import Config
from shared.mail.reply import printable
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.service.site_words import table_in_force
from shared.spool.queue_entry import WAITING, QueueEntry, list_entries
from shared.survey.story import tell


@click.command()
@click.argument("queue_id", type=QueueId(), metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def trail(office: Office, queue_id: str, as_json: bool) -> None:
    """What happened to a message, step by step; finished ones too, as long as the history is kept."""
    spool = spool_of(office)
    steps = tell(spool, history_of(office), queue_id)
    if as_json:
        for step in steps:
            echo_json(step.as_json())
    else:
        for line in lines_of(steps):
            click.echo(line)
        for entry in list_entries(spool, tuple(Lane), lambda parts: parts.id == queue_id):
            click.echo(_standing(office.config, entry, time.time()))
    if not steps:
        click.echo("Nothing matched.", err=True)
        sys.exit(NOTHING_MATCHED)


def _standing(config: Config, entry: QueueEntry, now: float) -> str:
    """Where an entry is now, for whom, why there, and until when it is tried."""
    recipients, envelope = entry.recipients or entry.settled, entry.envelope
    words = [state_text(entry, now)]
    if recipients:
        more = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
        words[0] += f", for <{recipients[0]}>{more}"
    if envelope is not None:
        table = table_in_force(config)
        routes = [decide_route(table, one.address, envelope.site) for one in envelope.recipients]
        words += [route.reason for route in routes if route.lane is entry.lane and route.reason][:1]
        if entry.state == WAITING and entry.lane is not Lane.HOLD:
            site = config.sites.get(envelope.site)
            retry = site.retry.over(config.retry) if site and site.retry else config.retry
            lifetime = retry.lifetime if envelope.sender else retry.bounce_lifetime
            left = envelope.arrived + lifetime - now
            words.append(f"given up in {age(left)}" if left > 0 else "given up after the next attempts")
    return printable(f"{'now':<23}  {'':<8}  {'; '.join(words)}")
