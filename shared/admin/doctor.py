"""`mercury doctor SITE`: whether strangers would take mail that this host delivers itself, before it does.

Not here: what is asked (shared/vantage/preflight.py) and what the answers mean (shared/vantage/light.py).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from shared.admin.command import DONE, SOME_FAILED, Office
from shared.admin.output import echo_json
from shared.config.model import Config
from shared.config.routing import domains_of
from shared.config.scalars import parse_hostname, parse_ip
from shared.dkim.private_key import KeyUnusable, PrivateKey, parse_private_key
from shared.dns.resolver import Resolver
from shared.mail.reply import printable
from shared.service.credentials import Credentials, SecretUnusable
from shared.service.signing import Named, covers, keys_of
from shared.vantage.light import Check, Light, worst
from shared.vantage.own_address import echoed_address, source_addresses
from shared.vantage.preflight import Flight, preflight
from shared.vantage.probe import Probe

AMBER = 3
_EXITS = {Light.GREEN: DONE, Light.AMBER: AMBER, Light.RED: SOME_FAILED}
_COLOURS = {Light.GREEN: "green", Light.AMBER: "yellow", Light.RED: "red"}


@click.command()
@click.argument("site", required=False)
@click.option("--address", "addresses", multiple=True, help="An address that strangers see. Default: as configured.")
@click.option("--domain", "domains", multiple=True, help="A domain to look at. Default: those of the site.")
@click.option("--selector", default="", help="The DKIM key of who signs for you. Default: preflight.dkim_selector.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def doctor(
    office: Office,
    site: str | None,
    addresses: tuple[str, ...],
    domains: tuple[str, ...],
    selector: str,
    as_json: bool,
) -> None:
    """Would others take mail that SITE delivers directly from this host?

    Its public address, PTR, SPF, DKIM, blocklists and port 25. Exit 0: all green; 3: something amber; 1: something
    red.
    """
    config = office.config
    wanted = _each(parse_hostname, "--domain", domains) or _domains(config, site or config.site)
    keys, checks = readable(our_keys(config, [site or config.site], wanted))
    flight = Flight(
        config.hostname,
        wanted,
        _each(parse_ip, "--address", addresses) or config.preflight.addresses,
        selector or config.preflight.dkim_selector,
        config.preflight.blocklists,
        config.auto.hosts,
        config.direct.port,
        tuple((named.name, key.record) for named, key in keys),
    )
    checks = [*checks, *asyncio.run(_run(config, flight))]
    for check in checks:
        if as_json:
            echo_json({**asdict(check), "light": check.light.value})
        else:
            echo_check(check)
    sys.exit(_EXITS[worst(checks)])


async def _run(config: Config, flight: Flight) -> list[Check]:
    resolver = Resolver(config.dns.servers, config.dns.timeout)
    probe = Probe(resolver, config.direct.port, config.auto.timeout)
    url = config.preflight.echo
    echo = partial(echoed_address, url, config.auto.timeout) if url else None
    return await preflight(flight, resolver, probe, source_addresses, echo)


def _domains(config: Config, site: str) -> tuple[str, ...]:
    """Those whose people write from the site: its own where it has some, else all of this host."""
    if site not in config.sites:
        raise click.UsageError(f"there is no site {site!r}; there is {', '.join(config.sites) or 'none'}")
    domains = domains_of(config, site)
    if not domains:
        raise click.UsageError(f"site {site} has no domains of its own, and local.domains is empty: say --domain")
    return domains


def _each(parse: Any, option: str, texts: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(parse(text) for text in texts)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


def our_keys(config: Config, sites: Iterable[str], domains: Collection[str]) -> list[tuple[Named, PrivateKey | str]]:
    """The keys that mail of these sites and domains is signed with (all domains, if none is said), or why one cannot
    be used."""
    named = dict.fromkeys(each for site in sites if site in config.sites for each in keys_of(config, site))
    return [
        (each, read_key(each.path))
        for each in named
        if not domains or any(covers(each.domain, one) for one in domains)
    ]


def read_key(path: str) -> PrivateKey | str:
    """The key in a file, or why it cannot be used."""
    try:
        return parse_private_key(Credentials().read_whole(path).encode())
    except SecretUnusable as error:
        return str(error)
    except KeyUnusable as error:
        return f"{path}: {error}"


def readable(
    keys: Iterable[tuple[Named, PrivateKey | str]],
) -> tuple[list[tuple[Named, PrivateKey]], list[Check]]:
    """Those that can be used, and a red light for each other."""
    usable, checks = [], []
    for named, key in keys:
        if isinstance(key, str):
            to_do = "mend the file, or make another key: mercury dkim key"
            checks.append(Check(Light.RED, "dkim", named.name, key, to_do))
        else:
            usable.append((named, key))
    return usable, checks


def echo_check(check: Check) -> None:
    light = click.style(f"{check.light:<6}", fg=_COLOURS[check.light], bold=True)
    click.echo(f"{light} {check.name:<10} {printable(check.about)}: {printable(check.says)}")
    if check.to_do:
        click.echo(f"{'':17} to do: {printable(check.to_do)}")
