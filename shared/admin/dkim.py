"""`mercury dkim key|record|check`: make a key that signs mail, tell what to publish for it, look whether it is there.

Not here: the signature (shared/dkim), who signs (shared/service/signing.py), what an answer of the DNS means
(shared/vantage/light.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from shared.admin.command import DONE, NOTHING_MATCHED, SOME_FAILED, Office, PrefixGroup
from shared.admin.doctor import AMBER, echo_check, our_keys, read_key, readable
from shared.admin.output import echo_json
from shared.config.dkim import parse_selector
from shared.config.model import Config
from shared.config.scalars import parse_hostname
from shared.dkim.private_key import PrivateKey, make_key
from shared.dns.resolver import Resolver
from shared.mail.reply import printable
from shared.service.signing import Named
from shared.vantage.light import Check, Light, worst
from shared.vantage.preflight import check_keys

#  One string of a TXT record (RFC 1035 §3.3.14).
_STRING = 255
_EXITS = {Light.GREEN: DONE, Light.AMBER: AMBER, Light.RED: SOME_FAILED}


@click.group(cls=PrefixGroup)
def dkim() -> None:
    """The keys that mail is signed with (DKIM)."""


@dkim.command()
@click.argument("domain")
@click.option("--selector", default="mercury", show_default=True, help="The name of the key; a new key, a new name.")
@click.option("--type", "kind", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Where to keep it. Default: secrets/mercury-e/dkim-DOMAIN-SELECTOR.pem beside the configuration.",
)
@click.option("--json", "as_json", is_flag=True, help="What is made, as a JSON object.")
@click.pass_obj
def key(office: Office, domain: str, selector: str, kind: str, path: Path | None, as_json: bool) -> None:
    """Make a key for DOMAIN, into a file that only its owner can read, and say what to do with it.

    RSA is what every receiver knows; an Ed25519 key beside it, with a selector of its own, signs a second time. A
    file that is there is never written over.
    """
    try:
        domain, selector = parse_hostname(domain), parse_selector(selector)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    path = path or _usual_path(office, domain, selector)
    made = make_key(kind)
    try:
        _keep(path, made.as_pem())
    except FileExistsError:
        raise click.ClickException(f"{path} is there: take another --selector, or move it away") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    name = f"{selector}._domainkey.{domain}"
    if as_json:
        echo_json({"file": str(path), **_fields(name, made)})
        return
    click.echo(f"{path} is made. Publish this record:\n")
    click.echo(f"{_zone_line(name, made.record)}\n")
    looks = f"`mercury dkim check {domain} --selector {selector}`"
    click.echo(f"When {looks} finds it, sign with it, below the site in the configuration:\n")
    click.echo(f"    dkim:\n      keys:\n        - {{selector: {selector}, domains: [{domain}], key_file: {path}}}")
    click.echo("\nThen `mercury reload`; under systemd `systemctl restart mercury-e`, which hands it the key.")


selector_option = click.option(
    "--selector",
    default="",
    metavar="NAME",
    help="Of the key that `key DOMAIN --selector NAME` made, whether the configuration names it already or not.",
)


@dkim.command()
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...")
@selector_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def record(office: Office, domains: Sequence[str], selector: str, as_json: bool) -> None:
    """The TXT record for each key of the configuration, as a line of a zone."""
    keys, faults = _keys(office, domains, selector)
    for fault in faults:
        click.echo(printable(f"{fault.about}: {fault.says}"), err=True)
    for named, key in keys:
        if as_json:
            echo_json(_fields(named.name, key))
        else:
            click.echo(_zone_line(named.name, key.record))
    sys.exit(SOME_FAILED if faults else DONE)


@dkim.command()
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...")
@selector_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def check(office: Office, domains: Sequence[str], selector: str, as_json: bool) -> None:
    """Is each key there, and is what the DNS says of it the same key? Exit codes as of `mercury doctor`."""
    keys, faults = _keys(office, domains, selector)
    checks = [*faults, *asyncio.run(_check(office.config, keys))]
    for one in checks:
        if as_json:
            echo_json({**asdict(one), "light": one.light.value})
        else:
            echo_check(one)
    sys.exit(_EXITS[worst(checks)])


async def _check(config: Config, keys: Sequence[tuple[Named, PrivateKey]]) -> list[Check]:
    resolver = Resolver(config.dns.servers, config.dns.timeout)
    return await check_keys(resolver, [(named.name, key.record) for named, key in keys])


def _usual_path(office: Office, domain: str, selector: str) -> Path:
    return office.path.parent / "secrets/mercury-e" / f"dkim-{domain}-{selector}.pem"


def _keys(
    office: Office, domains: Sequence[str], selector: str
) -> tuple[list[tuple[Named, PrivateKey]], list[Check]]:
    """Those that can be used, and a red light for each other. Ends the command when there is none at all."""
    try:
        wanted = [parse_hostname(domain) for domain in domains]
        chosen = parse_selector(selector) if selector else ""
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if chosen and not wanted:
        raise click.UsageError("--selector wants the DOMAIN of the key")
    found = our_keys(office.config, office.config.sites, wanted)
    if chosen:
        known = {each.domain: (each, key) for each, key in found if each.selector == chosen}
        paths = {domain: str(_usual_path(office, domain, chosen)) for domain in wanted}
        found = [known.get(domain) or _made(domain, chosen, path) for domain, path in paths.items()]
    if not found:
        click.echo(
            "no site signs such mail: see `sites.*.dkim` in the configuration, and `mercury dkim key`;"
            " of a key that it does not name yet say DOMAIN and --selector",
            err=True,
        )
        sys.exit(NOTHING_MATCHED)
    return readable(found)


def _made(domain: str, selector: str, path: str) -> tuple[Named, PrivateKey | str]:
    return Named(domain, selector, path), read_key(path)


def _fields(name: str, key: PrivateKey) -> dict[str, object]:
    return {"name": name, "type": key.kind, "bits": key.bits, "record": key.record}


def _zone_line(name: str, text: str) -> str:
    """As nsd, BIND and most forms of providers take it; long ones in several strings, which are read as one."""
    strings = [text[start : start + _STRING] for start in range(0, len(text), _STRING)]
    return f"{name}. TXT {' '.join(chr(34) + string + chr(34) for string in strings)}"


def _keep(path: Path, pem: bytes) -> None:
    """Whole or not at all, and never readable for others. It belongs to who owns the folder, if we may say so."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
