"""`mercury config plan NEW`: which mail of the last day, and of the queue, would go another way by another file.

Envelopes come from the history and the spool; both configurations judge them, and nothing is touched. Compared are
the rules for clients, the right to relay, the size, the lane, the next hops and the TLS. Not compared is who has a
mailbox: that is in the users file, which is not the configuration's.
"""

from __future__ import annotations

import ipaddress
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from shared.admin.command import USAGE, Office
from shared.admin.output import echo_json
from shared.admin.progress import Progress
from shared.admin.selection import Measure
from shared.admin.spool import spool_of
from shared.config.listeners import RuleAction
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.config.scalars import parse_duration
from shared.history.search import History
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.wording import CUT
from shared.routing.decide import decide_route, site_of_client
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.site_words import table_in_force
from shared.spool.queue_entry import list_entries

_DAY = 86400.0
_WAITING = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT, Lane.HOLD)


@dataclass(frozen=True, slots=True)
class Sample:
    """A message as it was accepted. One that waits has been let in: `site` is what its envelope says, else None."""

    id: str
    sender: str
    recipients: tuple[Address, ...]
    client: str = ""
    login: str = ""
    size: int = 0
    site: str | None = None


@click.command()
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--since", type=Measure("time", parse_duration), metavar="TIME", help="How far back. Default: a day.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each recipient whose way changes.")
@click.pass_obj
def plan(office: Office, new: Path, since: float | None, as_json: bool) -> None:
    """What would change for the mail of the last day if NEW were the configuration. Nothing is touched.

    NEW is read as if it stood in the place of the present file: relative paths and conf.d are those of there.
    """
    old_judge = Judge(office.config)
    new_judge = Judge(_load(new, office.path))
    seen = changed = 0
    progress = Progress("judging by both files", "messages")
    for sample in progress.over(_samples(office, time.time() - (since or _DAY))):
        seen += 1
        ways = [(one, old_judge.way(sample, one), new_judge.way(sample, one)) for one in sample.recipients]
        different = [each for each in ways if each[1] != each[2]]
        changed += bool(different)
        for recipient, before, after in different:
            progress.clear()
            _echo(sample, recipient, before, after, as_json)
    if not as_json:
        click.echo(
            f"{changed} of {seen} messages would go another way"
            if changed
            else f"{seen} messages: none changes its way"
        )


def _load(new: Path, place: Path) -> Config:
    try:
        return load(new, in_place_of=place)
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(printable(str(problem)), err=True)
        sys.exit(USAGE)


def _echo(sample: Sample, recipient: Address, before: str, after: str, as_json: bool) -> None:
    if as_json:
        fields = {"id": sample.id, "from": sample.sender, "to": str(recipient), "before": before, "after": after}
        echo_json({**fields, "client": sample.client, "waits": sample.site is not None})
    else:
        click.echo(printable(f"{sample.id}  {sample.sender} -> {recipient}"))
        click.echo(printable(f"    before  {before}"))
        click.echo(printable(f"    after   {after}"))


class Judge:
    """The way of messages by one configuration, in words."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._table: RoutingTable = table_in_force(config)

    def way(self, sample: Sample, recipient: Address) -> str:
        site = sample.site
        if site is None:
            site, refusal = self._let_in(sample, recipient)
            if refusal:
                return f"refused: {refusal}"
        decided = decide_route(self._table, recipient, site or self._table.here)
        hops = ", ".join(f"{hop} TLS {hop.tls}{f' login {hop.login}' if hop.login else ''}" for hop in decided.hops)
        tls = f" TLS {decided.tls}" if decided.tls else ""
        return f"{decided.lane.word}{' by ' + hops if hops else ''}{tls}"

    def _let_in(self, sample: Sample, recipient: Address) -> tuple[str, str]:
        """The site of the client, and why it would not be let in with this."""
        if sample.size > self._config.receive.max_message_size:
            return "", f"larger than {self._config.receive.max_message_size} octets"
        try:
            address = ipaddress.ip_address(sample.client)
        except ValueError:
            return "", ""  #  born on this host
        rules = self._config.receive.rules
        rule = next((rule for rule in rules if any(address in network for network in rule.networks)), None)
        if rule is not None and rule.action is RuleAction.REFUSE:
            return "", f"the rule at {rule.source} refuses the client"
        site = site_of_client(self._table, sample.client)
        may_relay = site is not None or sample.login or (rule is not None and rule.action is RuleAction.RELAY)
        if not may_relay and decide_route(self._table, recipient, self._table.here).lane is not Lane.LOCAL:
            return "", "the client may not relay"
        return site.name if site is not None else "", ""


# ---- envelopes ----


def _samples(office: Office, since: float) -> Iterator[Sample]:
    """Each message once; of one that waits still, the queue's record is taken, as it has all recipients."""
    waiting = set()
    for entry in list_entries(spool_of(office), _WAITING):
        if entry.envelope is not None:
            waiting.add(entry.id)
            envelope = entry.envelope
            people = tuple(recipient.address for recipient in envelope.recipients)
            yield Sample(entry.id, entry.sender or "<>", people, envelope.client, site=envelope.site)
    config = office.config
    history = History(config.state / "history", config.state / "events", _complain)
    for _, queue_id, line in history.holding([f'"{events.MESSAGE_ACCEPTED}"'], since):
        sample = _sample(line) if queue_id and queue_id not in waiting else None
        if sample is not None:
            waiting.add(sample.id)
            yield sample


def _sample(line: str) -> Sample | None:
    try:
        fields = json.loads(line)
        if fields["event"] != events.MESSAGE_ACCEPTED:
            return None
        words = str(fields["recipient"]).split(",")
        if words[-1].endswith(CUT):
            words.pop()  #  the event has no room for all of them
        people = tuple(parse_address(word) for word in words if word)
        client, login = str(fields.get("client", "")), str(fields.get("login", ""))
        return Sample(fields["id"], str(fields["sender"]), people, client, login, int(fields["size"]))
    except (ValueError, KeyError, TypeError, AddressError):
        return None  #  torn, or of another version


def _complain(path: Path, error: Exception) -> None:
    click.echo(printable(f"mercury: {path}: {error}"), err=True)
