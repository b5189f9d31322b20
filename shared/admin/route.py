"""`mercury route ADDR`: where would it go, by which hops, and why."""

from __future__ import annotations

import sys

import click

from shared.admin.command import USAGE, Office
from shared.admin.output import echo_json
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.reply import printable
from shared.routing.decide import Route, decide_route, site_of_client
from shared.service.site_words import table_in_force

DRAINED_BY = {
    "local": "MercuryS puts it into a mailbox",
    "relay": "MercuryC hands it to a smarthost",
    "direct": "MercuryE looks up its MX and delivers it",
    "hold": "it is held",
}


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDR...")
@click.option("--site", default="", help="As if it came from this site. Default: the one this host is in.")
@click.option("--client", default="", metavar="IP", help="As if it came from this client; its site decides.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def route(office: Office, addresses: tuple[str, ...], site: str, client: str, as_json: bool) -> None:
    """Where would mail for ADDR go, and why."""
    table = table_in_force(office.config)
    if site and site not in table.sites:
        raise click.UsageError(f"there is no site {site!r}; there is {', '.join(table.sites) or 'none'}")
    if client:
        found = site_of_client(table, client)
        if found is None:
            raise click.UsageError(f"{client} is in no site's networks: it may not relay")
        site = found.name
    site = site or table.here
    for text in addresses:
        address = _parse(text)
        decided = decide_route(table, address, site)
        if as_json:
            echo_json(_as_json(address, site, decided))
        else:
            _echo(address, decided)


def _parse(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        click.echo(printable(f"mercury: {text}: {error}"), err=True)
        sys.exit(USAGE)


def _as_json(address: Address, site: str, decided: Route) -> dict[str, object]:
    return {
        "address": str(address),
        "site": site,
        "lane": decided.lane.word,
        "hops": [str(hop) for hop in decided.hops],
        "tls": decided.tls.value if decided.tls else None,
        "reason": decided.reason,
    }


def _echo(address: Address, decided: Route) -> None:
    click.echo(printable(f"{address}  {decided.lane.word}: {DRAINED_BY.get(decided.lane.word, '')}"))
    click.echo(printable(f"  because  {decided.reason}"))
    for hop in decided.hops:
        login = f", login {hop.login}" if hop.login else ""
        click.echo(printable(f"  hop      {hop}  TLS {'implicit, ' if hop.implicit_tls else ''}{hop.tls}{login}"))
    if decided.tls:
        click.echo(f"  demands  TLS {decided.tls}")
