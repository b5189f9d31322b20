"""`mercury config`: is the file right, and what is in force with all defaults."""

from __future__ import annotations

import sys
from typing import Any

import click

from shared.admin.command import NOTHING_MATCHED, USAGE, Office, PrefixGroup
from shared.admin.config_import import import_configuration
from shared.admin.output import echo_json
from shared.config.load import ConfigErrors, load
from shared.mail.reply import printable
from shared.tls.certificate import CertificateTrouble


@click.group(cls=PrefixGroup)
def config() -> None:
    """Check and show the configuration."""


config.add_command(import_configuration)


@config.command()
@click.pass_obj
def check(office: Office) -> None:
    """Say every error at its place; exit 2 if there is one. Running daemons are not touched."""
    try:
        config = load(office.path)
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(str(problem), err=True)
        count = len(errors.problems)
        click.echo(f"{count} error{'s' if count > 1 else ''}; running daemons keep what they have", err=True)
        sys.exit(USAGE)
    try:
        if config.tls.pairs:
            from shared.tls.server import ServerCertificates

            ServerCertificates.load(config.tls.pairs)
    except CertificateTrouble as trouble:
        click.echo(printable(f"{office.path}: error: {trouble}"), err=True)
        sys.exit(USAGE)
    click.echo(printable(f"{office.path}: no errors"))


@config.command()
@click.argument("key", default="")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show(office: Office, key: str, as_json: bool) -> None:
    """What is in force, defaults included. KEY narrows it: `mercury config show receive.limits`."""
    value: Any = office.config.model_dump(mode="json")
    for part in filter(None, key.split(".")):
        value = _within(value, part)
        if value is _ABSENT:
            click.echo(printable(f"mercury: there is no setting {key}"), err=True)
            sys.exit(NOTHING_MATCHED)
    if as_json:
        echo_json(value if isinstance(value, dict) else {key: value})
        return
    import yaml

    if isinstance(value, dict | list):
        click.echo(yaml.safe_dump(value, sort_keys=False, default_flow_style=False), nl=False)
    else:
        click.echo(printable(str(value)))


_ABSENT = object()


def _within(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part, _ABSENT)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return _ABSENT
