"""`mercury audit`: what operators did to the queue, by whom and why, from the audit log."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import click

from shared.admin.command import NOTHING_MATCHED, Office
from shared.admin.output import count_text, echo_json, moment
from shared.admin.selection import QueueId
from shared.mail.reply import printable
from shared.state.audit import ids_of, read_audit


@click.command()
@click.argument("queue_id", type=QueueId(), metavar="[ID]", required=False)
@click.option("--last", type=click.IntRange(1), metavar="COUNT", help="Only the last so many lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def audit(office: Office, queue_id: str | None, last: int | None, as_json: bool) -> None:
    """What was done by hand, when, by whom and why; with an ID, to that message."""
    lines = deque(_about(read_audit(office.config.state), queue_id), maxlen=last)
    for fields in lines:
        if as_json:
            echo_json(fields)
        else:
            for text in _texts(fields, queue_id):
                click.echo(printable(text))
    if not lines and queue_id:
        click.echo("Nothing matched.", err=True)
        sys.exit(NOTHING_MATCHED)


def _about(lines: Iterator[dict[str, Any]], queue_id: str | None) -> Iterator[dict[str, Any]]:
    """All of them, or those about a message, each behind the line that says who began and why."""
    if queue_id is None:
        yield from lines
        return
    begun: dict[str, dict[str, Any]] = {}
    for fields in lines:
        act = str(fields.get("act"))
        if fields.get("step") == "begins":
            begun[act] = fields
        elif queue_id in ids_of(fields):
            if act in begun:
                yield begun.pop(act)
            yield fields


def _texts(fields: Mapping[str, Any], queue_id: str | None) -> Iterator[str]:
    try:
        at = moment(float(fields["at"]))
    except (KeyError, ValueError, TypeError):
        return
    if fields.get("step") == "begins":
        who = f"{fields.get('account')} (uid {fields.get('uid')})"
        login = fields.get("login")
        who += f", logged in as {login}" if login and login != fields.get("account") else ""
        who += f", for {fields['for']}" if fields.get("for") else ""
        count = fields.get("count")
        what = f"{fields.get('verb')} {fields.get('selection')}"
        what += "".join(f" {key}={value}" for key, value in (fields.get("options") or {}).items())
        what += f", {count_text(count)}" if isinstance(count, int) else ""
        yield f"{at}  {who}: {what}" + (f": {fields['reason']}" if fields.get("reason") else "")
        return
    for entry in fields.get("entries") or ():
        if isinstance(entry, dict) and queue_id in (None, entry.get("id")):
            where = f"{entry['id']} {entry.get('lane', '')}" if "id" in entry else str(entry.get("path", ""))
            end = entry.get("wrong") if "id" in entry else f"{entry.get('wrong')}: {entry.get('done')}"
            yield f"{at}    {where}: {end or entry.get('did')}"
