"""`mercury queue VERB`: the verbs that change what waits. What they do is shared/service/acts.py, how it is carried
out acting.py; here are their options, the same for each as far as they go."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from shared.admin.acting import act_on
from shared.admin.caller import caller
from shared.admin.command import Office
from shared.admin.selection import changing
from shared.delivery.detour import BY_ROUTE, Detour
from shared.routing.lane import Lane
from shared.routing.next_hop import Tls
from shared.service.acts import HIGHEST, Act
from shared.spool.selection import Selection

_SMTP_PORT = 25


def verb(function: Callable[..., dict[str, str]]) -> click.Command:
    """A command of what `function` makes of the verb's own options: those of the act, as text."""

    def carry(office: Office, selection: Selection, everything: bool, **given: Any) -> None:
        reason, yes, as_json = (given.pop(key) for key in ("reason", "yes", "as_json"))
        name = function.__name__
        if selection.is_empty and not everything:
            raise click.UsageError("say which: ids, or --to, --from, --lane and the like, or --all")
        if name in ("remove", "purge", "bounce") and not reason and not selection.is_rehearsal:
            raise click.UsageError("say why with --reason TEXT; it is kept in the audit log")
        options = {key: value for key, value in function(**given).items() if value}
        try:
            act = Act(name, selection, caller(), reason, options)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        act_on(office, act, yes=yes, as_json=as_json)

    with_options: Any = functools.wraps(function)(carry)
    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return click.command(function.__name__)(changing(click.pass_obj(with_options)))


_OPTIONS = (
    click.option("--all", "everything", is_flag=True, help="All there is for this verb."),
    click.option("--reason", default="", metavar="TEXT", help="Why; kept in the trail and the audit log."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
)


@verb
def retry() -> dict[str, str]:
    """Have entries tried now instead of at their next attempt."""
    return {}


@verb
def hold() -> dict[str, str]:
    """Keep entries from being delivered until they are released."""
    return {}


@verb
def release() -> dict[str, str]:
    """Let held entries go where they were bound for."""
    return {}


@verb
def remove() -> dict[str, str]:
    """Take entries out of the queue, unsent; `undelete` brings them back."""
    return {}


@verb
def undelete() -> dict[str, str]:
    """Put removed entries back where they were."""
    return {}


@verb
def purge() -> dict[str, str]:
    """Delete removed entries for good."""
    return {}


@verb
@click.option("--text", default="", metavar="TEXT", help="What the sender reads as the reason.")
def bounce(text: str) -> dict[str, str]:
    """Return entries to their senders now, with a report."""
    return {"text": text}


@verb
@click.option("--recipient", required=True, metavar="ADDR", help="Who is not to get it any more.")
def drop(recipient: str) -> dict[str, str]:
    """Take one recipient off; the others stay."""
    return {"recipient": recipient}


@verb
@click.option("--recipient", required=True, metavar="ADDR", help="Who waits for it.")
@click.option("--new", required=True, metavar="ADDR", help="Who is to get it instead.")
def change(recipient: str, new: str) -> dict[str, str]:
    """Put another recipient in the place of one."""
    return {"recipient": recipient, "to": new}


@verb
@click.option("--value", required=True, type=click.IntRange(-HIGHEST, HIGHEST), help="9 is the most urgent, 0 usual.")
def priority(value: int) -> dict[str, str]:
    """Have entries go before others, or after them."""
    return {"value": str(value)}


@verb
@click.option("--relay", "way", flag_value=Lane.RELAY.word, help="To the smarthosts of their site.")
@click.option("--direct", "way", flag_value=Lane.DIRECT.word, help="To the servers of their domains.")
@click.option("--via", metavar="HOST[:PORT]", default="", help="To this host; a smarthost's login is used.")
@click.option("--tls", type=click.Choice([tls.value for tls in Tls if tls is not Tls.PIN]), default="verify")
@click.option("--by-route", "way", flag_value=BY_ROUTE, help="By the configuration again.")
def reroute(way: str | None, via: str, tls: str) -> dict[str, str]:
    """Send entries another way than the configuration says, until it is undone."""
    if bool(way) == bool(via):
        raise click.UsageError("say one of --relay, --direct, --via HOST and --by-route")
    if not via:
        return {"way": str(way)}
    host, port = _host_and_port(via)
    return {"way": str(Detour(Lane.RELAY, host, port, Tls(tls)))}


def _host_and_port(text: str) -> tuple[str, int]:
    """`mx.example`, `mx.example:587`, `192.0.2.1:25`, `[2001:db8::1]:25`."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(_SMTP_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(letter.isspace() for letter in host) or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"{text!r} is no HOST or HOST:PORT")
    return host, int(port)


VERBS = (retry, hold, release, remove, undelete, purge, bounce, drop, change, priority, reroute)
