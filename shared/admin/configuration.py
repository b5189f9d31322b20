"""`mercury config`: is the file right. The other verbs: configuration_init.py, configuration_show.py, plan.py."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from shared.admin.command import DONE, USAGE, Office, PrefixGroup
from shared.admin.config_import import import_configuration
from shared.admin.configuration_init import init
from shared.admin.configuration_plan import plan
from shared.admin.configuration_show import explain, schema, show
from shared.admin.output import echo_json
from shared.config.load import ConfigErrors, load
from shared.config.problem import Problem
from shared.mail.reply import printable
from shared.tls.certificate import CertificateTrouble


@click.group(cls=PrefixGroup)
def config() -> None:
    """Make, check, show and explain the configuration."""


config.add_command(import_configuration)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each error; nothing when there is none.")
@click.pass_obj
def check(office: Office, as_json: bool) -> None:
    """Say every error at its place; exit 2 if there is one. Running daemons are not touched."""
    problems = _problems(office.path)
    for problem in problems:
        if as_json:
            echo_json(asdict(problem))
        else:
            click.echo(printable(str(problem)), err=True)
    count = len(problems)
    if not as_json and problems:
        click.echo(f"{count} error{'s' if count > 1 else ''}; running daemons keep what they have", err=True)
    elif not as_json:
        click.echo(printable(f"{office.path}: no errors"))
    sys.exit(USAGE if problems else DONE)


def _problems(path: Path) -> list[Problem]:
    """The certificates are looked at when the rest is right."""
    try:
        config = load(path)
    except ConfigErrors as errors:
        return errors.problems
    try:
        if config.tls.pairs:
            from shared.tls.server import ServerCertificates

            ServerCertificates.load(config.tls.pairs)
    except CertificateTrouble as trouble:
        return [Problem(str(path), 0, 0, str(trouble))]
    return []


config.add_command(init)
config.add_command(plan)
config.add_command(show)
config.add_command(explain)
config.add_command(schema)
