"""`mercury route ADDR`: would it be taken, where would it go, by which hops, why, and what would change that.

Nothing is sent. What the door says is asked of mercury_s/rehearsal.py, what the DNS says of mercury_e/inspection.py,
each in a process of its own; the lane and its reason are shared/routing.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any

import click

from shared.admin.command import USAGE, Office
from shared.admin.completing import complete_sites
from shared.admin.neighbour import REHEARSAL, said_by
from shared.admin.output import age, echo_json, octets
from shared.admin.probe import inspected, lines_of
from shared.admin.selection import Measure
from shared.admin.smarthosts import smarthost_facts, smarthost_lines
from shared.config.scalars import parse_size
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.routing.decide import Route, decide_route, site_of_client
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service.site_words import table_in_force

DRAINED_BY = {
    "local": "MercuryS puts it into a mailbox",
    "relay": "MercuryC hands it to a smarthost",
    "direct": "MercuryE looks up its MX and delivers it",
    "hold": "it is held",
}


@dataclass(frozen=True, slots=True)
class Sending:
    """Who sends, as the options say it; `size` in octets, 0 when it does not matter."""

    sender: str = ""
    client: str = ""
    login: str = ""
    size: int = 0
    port: int = 0


@dataclass(slots=True)
class Finding:
    """What became known of one address."""

    address: Address
    site: str
    route: Route
    door: list[dict[str, Any]] = field(default_factory=list)
    smarthosts: list[dict[str, Any]] = field(default_factory=list)
    dns: list[dict[str, Any]] = field(default_factory=list)
    client: str = ""
    size: int = 0


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDR...")
@click.option("--from", "sender", default="", metavar="ADDR", help="As if this address sent it.")
@click.option("--client", default="", metavar="IP", help="As if it came from this client; its site decides.")
@click.option("--login", default="", metavar="ACCOUNT", help="As if this account had logged in.")
@click.option("--size", type=Measure("size", parse_size), metavar="SIZE", help="As if it were so large.")
@click.option("--port", type=int, default=0, help="As if it came to this listener.")
@click.option(
    "--site",
    default="",
    shell_complete=complete_sites,
    help="As if it came from this site. Default: the one this host is in.",
)
@click.option("--no-dns", is_flag=True, help="Do not ask the DNS about what MercuryE delivers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def route(
    office: Office,
    addresses: tuple[str, ...],
    sender: str,
    client: str,
    login: str,
    size: float | None,
    port: int,
    site: str,
    no_dns: bool,
    as_json: bool,
) -> None:
    """Would mail for ADDR be taken, where would it go, and why. Nothing is sent.

    With --client, --login, --from, --size or --port the door is asked, too: its rules, aliases and limits. Unless it
    is said who the client is, it is one of the site.
    """
    table = table_in_force(office.config)
    sending = Sending(sender, client, login, int(size or 0), port)
    site = _site(table, site, sending)
    for text in addresses:
        address = _parse(text)
        found = Finding(address, site, decide_route(table, address, site))
        _look(office, found, sending, asks_dns=not no_dns)
        if as_json:
            echo_json(_as_json(found, office))
        else:
            for line in _lines(found, office):
                click.echo(printable(line))


def _site(table: RoutingTable, site: str, sending: Sending) -> str:
    """Raises click.UsageError."""
    if site and site not in table.sites:
        raise click.UsageError(f"there is no site {site!r}; there is {', '.join(table.sites) or 'none'}")
    if sending.client and not site:
        try:
            found = site_of_client(table, sending.client)
        except ValueError:
            raise click.UsageError(f"{sending.client} is no IP address")
        site = found.name if found is not None else ""
    return site or table.here


def _parse(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        click.echo(printable(f"mercury: {text}: {error}"), err=True)
        sys.exit(USAGE)


# ---- looking ----


def _look(office: Office, found: Finding, sending: Sending, asks_dns: bool) -> None:
    lane = found.route.lane
    is_said = sending != Sending()
    if is_said and not sending.client:
        sending = replace(sending, client=_somebody_at(office, found.site))
    if is_said or lane is Lane.LOCAL:
        found.door, found.client = _at_the_door(office, found.address, sending), sending.client
    found.size = sending.size
    if found.route.hops:
        found.smarthosts = _hop_facts(office, found)
    if lane is Lane.DIRECT and asks_dns:
        found.dns, _ = inspected(office, found.address.ascii_domain, rcpt=str(found.address), dns_only=True)


def _somebody_at(office: Office, site: str) -> str:
    """The first address of the site's networks; this host where there are none."""
    networks = office.config.sites[site].networks if site in office.config.sites else ()
    return str(next(iter(networks[0].hosts()), networks[0].network_address)) if networks else "127.0.0.1"


def _at_the_door(office: Office, address: Address, sending: Sending) -> list[dict[str, Any]]:
    """What each command of such a session is answered, and why."""
    size = f" SIZE={sending.size}" if sending.size else ""
    commands = ["EHLO route.invalid", f"MAIL FROM:<{sending.sender}>{size}", f"RCPT TO:<{address}>", "QUIT"]
    arguments = ["--from", sending.client or "127.0.0.1", "--port", str(sending.port), "--login", sending.login]
    code, lines, complaint = said_by(REHEARSAL, office.path, arguments, "".join(f"{each}\n" for each in commands))
    if code:
        click.echo(printable(complaint or "mercury: the door cannot be asked"), err=True)
        sys.exit(code)
    answers: list[dict[str, Any]] = []
    why: list[str] = []
    for line in lines:
        if line.startswith("# "):
            #  What is said of an accepted recipient comes behind its reply.
            late = answers and " is " in line and answers[-1]["reply"].startswith("250") and not why
            (answers[-1]["why"] if late else why).append(line[2:])
        elif re.match(r"\d{3} ", line):
            command = ["connect", *commands][len(answers)] if len(answers) <= len(commands) else ""
            answers.append({"command": command, "reply": line, "why": why})
            why = []
    return answers


def _hop_facts(office: Office, found: Finding) -> list[dict[str, Any]]:
    hosts = {str(hop) for hop in found.route.hops}
    try:
        facts = smarthost_facts(office.config, found.site, time.time()) if found.site else []
    except OSError:
        return []  #  the book of next hops is not ours to read
    return [fact for fact in facts if fact["host"] in hosts]


# ---- telling ----


def _as_json(found: Finding, office: Office) -> dict[str, object]:
    decided = found.route
    return {
        "address": str(found.address),
        "site": found.site,
        "lane": decided.lane.word,
        "hops": [str(hop) for hop in decided.hops],
        "tls": decided.tls.value if decided.tls else None,
        "reason": decided.reason,
        "door": found.door,
        "taken": not _refusal(found) if found.door else None,
        "smarthosts": found.smarthosts,
        "dns": found.dns,
        "change": _change(office, found),
        "lifetime": office.config.retry.lifetime,
    }


def _lines(found: Finding, office: Office) -> Iterator[str]:
    decided = found.route
    if refusal := _refusal(found):
        yield f"{found.address}  refused at the door: {refusal}"
        yield f"  if taken {decided.lane.word}: {DRAINED_BY.get(decided.lane.word, '')}"
    else:
        yield f"{found.address}  {decided.lane.word}: {DRAINED_BY.get(decided.lane.word, '')}"
    yield f"  because  {decided.reason}"
    if found.client:
        yield f"  door     a client at {found.client}"
    for answer in found.door:
        if answer["command"] not in ("EHLO route.invalid", "QUIT"):
            yield f"  door     {answer['command']}: {answer['reply']}"
            yield from (f"           {reason}" for reason in answer["why"])
    for hop in decided.hops:
        login = f", login {hop.login}" if hop.login else ""
        yield f"  hop      {hop}  TLS {'implicit, ' if hop.implicit_tls else ''}{hop.tls}{login}"
    yield from (f"  {line}" for line in smarthost_lines(found.smarthosts, time.time()))
    if decided.tls:
        yield f"  demands  TLS {decided.tls}"
    #  The way is told above, and for the site that was asked about.
    dns = (fact for fact in found.dns if fact["step"] != "route" or fact["outcome"] != "goes")
    yield from (f"  {line}" for fact in dns for line in lines_of(fact))
    for fact in found.smarthosts:
        if fact["size"] and found.size > fact["size"]:
            yield f"  size     {octets(found.size)} is more than {fact['host']} takes, and would be returned"
    if decided.lane not in (Lane.LOCAL, Lane.HOLD):
        retry = office.config.retry
        longest, lifetime = age(retry.longest), age(retry.lifetime)
        yield f"  retry    after {age(retry.first)}, then ever longer up to {longest}, for {lifetime}"
    yield f"  change   {_change(office, found)}"
    if found.address.domain in office.config.local.domains:
        yield f"  size     at most {octets(office.config.receive.max_message_size)}"


def _refusal(found: Finding) -> str:
    """The reply by which the door refuses; empty when it takes the mail, or was not asked."""
    return next((answer["reply"] for answer in found.door if answer["reply"][:1] in ("4", "5")), "")


def _is_stranger(found: Finding) -> bool:
    """Neither logged in nor in the networks of a site, and the mail is for elsewhere."""
    return "you may not relay" in _refusal(found)


def _change(office: Office, found: Finding) -> str:
    """What an operator would do to have it go another way."""
    domain = found.address.domain
    if _refusal(found).startswith(("552 5.3.4", "552 5.2.3")):
        most = octets(office.config.receive.max_message_size)
        return f"receive.max_message_size, {most} now; no larger than what the next hop takes helps"
    if _is_stranger(found):
        return "the client logs in, or its network is put into sites.NAME.networks"
    if found.route.lane is Lane.LOCAL and _refusal(found).startswith("550 5.1.1"):
        return f"mercury user add {found.address}, or a line in {office.config.local.aliases}"
    if found.route.lane is Lane.LOCAL:
        return f"take {domain} out of local.domains; an alias leads a single address elsewhere"
    route = f"a route before all others: {{to: [{domain}], deliver: relay | direct | hold}}, or via: {{host: ...}}"
    word = (
        f"mercury site set {found.site} relay | direct | auto | hold, for all of site {found.site}; "
        if found.site
        else ""
    )
    return f"{word}{route}"
