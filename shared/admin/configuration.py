"""`mercury config`: is the file right. The other verbs: configuration_init.py, configuration_show.py, plan.py."""

from __future__ import annotations

import sys

import click

from shared.admin.command import USAGE, Office, PrefixGroup
from shared.admin.config_import import import_configuration
from shared.admin.configuration_init import init
from shared.admin.configuration_plan import plan
from shared.admin.configuration_show import explain, schema, show
from shared.config.load import ConfigErrors, load
from shared.mail.reply import printable
from shared.tls.certificate import CertificateTrouble


@click.group(cls=PrefixGroup)
def config() -> None:
    """Make, check, show and explain the configuration."""


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


config.add_command(init)
config.add_command(plan)
config.add_command(show)
config.add_command(explain)
config.add_command(schema)
