"""`mercury find`: messages by who sent them, who got them, from where, and what was answered; finished ones too."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import click

from shared.admin.command import NOTHING_MATCHED, SOME_FAILED, USAGE, Office
from shared.admin.output import echo_json, echo_table, moment, octets
from shared.admin.table import Shape
from shared.config.scalars import parse_duration
from shared.history.search import FOREVER, History
from shared.mail.reply import printable
from shared.survey.found import STATES, Found, Wanted, find_messages

_SHAPE = Shape(right=("SIZE",), giving=("FROM", "TO"), is_split=True)
_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


class Moment(click.ParamType[float]):
    """A time of this host, or how long ago."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        now = time.time()
        if re.fullmatch(r"\d\d:\d\d", text):
            text = time.strftime("%Y-%m-%d ", time.localtime(now)) + text
        for form in _FORMS:
            try:
                return time.mktime(time.strptime(text, form))
            except ValueError:
                continue
        try:
            return now - parse_duration(text)
        except ValueError:
            self.fail(f"'{text}' is no time: write 2h, 14:30, 2026-11-23 or '2026-11-23 14:30'", param, ctx)


def history_of(office: Office, complained: set[Path] | None = None) -> History:
    """What cannot be read is said once, and put into `complained`."""
    known = set[Path]() if complained is None else complained

    def complain(path: Path, error: Exception) -> None:
        if path not in known:
            known.add(path)
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            click.echo(printable(f"mercury: cannot read {path}: {why}; what is in it is left out"), err=True)

    state = office.config.state
    return History(state / "history", state / "events", complain)


@click.command()
@click.argument("text", nargs=-1)
@click.option("--since", type=Moment(), default=0.0, metavar="TIME", help="Not older: 2h, 14:30, '2026-11-23 14:30'.")
@click.option("--until", type=Moment(), default=FOREVER, metavar="TIME", help="Not younger.")
@click.option("--from", "sender", default="", metavar="ADDR", help="The sender's address, or a part of it.")
@click.option("--to", "recipient", default="", metavar="ADDR", help="A recipient's address, or a part of it.")
@click.option("--client", default="", metavar="IP", help="Who handed it in.")
@click.option("--id", "queue_id", default="", metavar="ID", help="The queue id.")
@click.option("--message-id", default="", metavar="ID", help="The Message-ID, or a part of it.")
@click.option("--subject", default="", metavar="TEXT", help="Part of the subject; see `history.subjects`.")
@click.option("--reply", default="", metavar="TEXT", help="Part of what was answered, to us or by us.")
@click.option("--state", type=click.Choice(STATES), default=None, help="What became of it.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def find(
    office: Office,
    text: tuple[str, ...],
    since: float,
    until: float,
    sender: str,
    recipient: str,
    client: str,
    queue_id: str,
    message_id: str,
    subject: str,
    reply: str,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find messages, finished ones too, as long as the history is kept. The newest come last.

    TEXT is looked for in everything that is known of a message. Everything that is given must hold.
    """
    if subject and not office.config.history.subjects:
        click.echo("mercury: subjects are not kept: set `history.subjects: true`, for mail from then on", err=True)
        sys.exit(USAGE)
    parts = {
        "sender": sender, "recipient": recipient, "client": client, "id": queue_id.upper(),
        "message_id": message_id, "subject": subject, "reply": reply,
    }  # fmt: skip
    wanted = Wanted({key: part for key, part in parts.items() if part}, text, since, until, state or "")
    unread = set[Path]()
    messages = find_messages(history_of(office, unread), wanted, limit)
    if as_json:
        for message in messages:
            echo_json(message.as_json())
    elif messages:
        columns = ("TIME", "ID", "SIZE", "FROM", "TO", "STATE", "LAST REPLY")
        echo_table(columns, [_row(message) for message in messages], _SHAPE)
    if len(messages) == limit:
        click.echo(f"These are the newest {limit}; more with --limit, or ask more narrowly.", err=True)
    if not messages and unread:
        sys.exit(SOME_FAILED)
    if not messages:
        click.echo("Nothing matched.", err=True)
        sys.exit(NOTHING_MATCHED)


def _row(message: Found) -> tuple[str, ...]:
    to = message.recipients[0] if message.recipients else ""
    if message.recipient_count > 1:
        to += f" +{message.recipient_count - 1}"
    size = octets(message.size) if message.size else ""
    reply = message.last_reply or message.reason
    #  Of who was turned away before there was a sender the address is all that there is.
    sender = message.sender or (f"[{message.client}]" if message.client and not message.id else "")
    return moment(message.at)[:-4], message.id, size, sender, to, message.state, reply
