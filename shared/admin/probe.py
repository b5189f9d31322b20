"""`mercury probe DOMAIN|HOST`: what mail for there would meet. Nothing is sent.

The asking is done by mercury_e/inspection.py, in a process of its own; here its findings become lines for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from shared.admin.command import SOME_FAILED, Office
from shared.admin.neighbour import INSPECTION, said_by
from shared.admin.output import echo_json
from shared.mail.reply import printable


@click.command()
@click.argument("target", metavar="DOMAIN|HOST[:PORT]")
@click.option("--host", is_flag=True, help="TARGET is a host, not a mail domain; with :PORT it always is.")
@click.option("--rcpt", default="", metavar="ADDR", help="Ask whether this address would be taken.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding.")
@click.pass_obj
def probe(office: Office, target: str, host: bool, rcpt: str, as_json: bool) -> None:
    """Ask a destination what it is: MX, MTA-STS, DANE, TLS, certificate, extensions, and how long it takes.

    It is asked as MercuryE would, with the same demands on TLS; after EHLO, or RCPT with --rcpt, comes QUIT.
    Exit code 1: nobody there would take mail.
    """
    found, code = inspected(office, target, is_host=host or ":" in target.rpartition("]")[2], rcpt=rcpt)
    for fact in found:
        if as_json:
            echo_json(fact)
        else:
            for line in lines_of(fact):
                click.echo(printable(line))
    if not as_json:
        click.echo("mail would be taken" if code == 0 else "mail would not be taken now")
    sys.exit(code)


def inspected(
    office: Office, target: str, *, is_host: bool = False, rcpt: str = "", dns_only: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """The findings and the exit code; ends the command when nothing could be asked."""
    office.config  # noqa: B018 - a file with errors ends the command here, with all of them
    arguments = [
        *(["--host"] if is_host else []),
        *(["--dns-only"] if dns_only else []),
        "--rcpt",
        rcpt,
        "--",
        target,
    ]
    code, lines, complaint = said_by(INSPECTION, office.path, arguments)
    if complaint and not lines:
        click.echo(printable(complaint.splitlines()[-1]), err=True)
        sys.exit(code or SOME_FAILED)
    return [json.loads(line) for line in lines], code


#  By the kind of answer (shared/dns/answers.py).
_NO_MX = {
    "NoData": "none: the domain itself is the host",
    "NoSuchName": "none: there is no such domain",
    "Trouble": "not known: the name servers give no answer that can be believed",
}


def lines_of(fact: Mapping[str, Any]) -> Iterator[str]:
    match fact["step"]:
        case "mx" if fact["hosts"]:
            yield f"MX        {', '.join(fact['hosts'])}{'  (proved by DNSSEC)' if fact['dnssec'] else ''}"
        case "mx":
            yield f"MX        {_NO_MX.get(fact['answer'], fact['answer'])}"
        case "mta-sts":
            mode, hosts = fact["mode"], fact.get("hosts", [])
            yield f"MTA-STS   {mode}: {', '.join(hosts)}" if mode else "MTA-STS   none"
        case "route":
            yield f"route     {fact['outcome']}: {fact['reason']}"
        case "host":
            count = fact.get("tlsa")
            dane = f", by {count} TLSA record{'' if count == 1 else 's'}" if count else ""
            yield f"host      {fact['host']}:{fact['port']}  {', '.join(fact['addresses'])}  TLS {fact['tls']}{dane}"
        case "visit":
            yield from _visit_lines(fact)
        case "reply":
            yield f"          {fact['command']}: {fact['reply'] or 'no answer'}  ({fact['seconds']:.2f} s)"


def _visit_lines(fact: Mapping[str, Any]) -> Iterator[str]:
    where = f"{fact['host']}[{fact['address']}]:{fact['port']}  {fact['seconds']:.2f} s"
    if not fact["ready"]:
        yield f"visit     {where}  failed ({fact['failed']}): {fact['reason']}"
        return
    yield f"visit     {where}  ready"
    yield f"          TLS {fact['tls'] or 'not offered or not wanted'}"
    if certificate := fact.get("certificate"):
        names = ", ".join(certificate["names"]) or certificate["subject"]
        yield f"          certificate for {names}, by {certificate['issuer']}, {certificate['days']} days left"
    yield f"          offers {', '.join(fact['extensions'])}"
