"""`mercury NOUN VERB`: the nouns, their prefixes, and the configuration they all share.

Here is only what every noun needs. Each noun is a click command in a module of its own; nobody imports these.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import click

import shared
from shared.config.load import DEFAULT_PATH, ConfigErrors, load
from shared.config.model import Config

DONE, SOME_FAILED, USAGE, NOTHING_MATCHED = 0, 1, 2, 4
EXIT_CODES = {
    DONE: "done",
    SOME_FAILED: "some of it failed, or the answer is no; `doctor`: something is red",
    USAGE: "wrong usage, or a configuration with errors",
    3: "`doctor` and `dkim check` only: something is amber",
    NOTHING_MATCHED: "nothing matched, or no daemon runs that could be asked",
}

#  Letters of the first sentence of a help text, at most.
_SENTENCE = 400

#  Noun → module and the command in it.
NOUNS = {
    "alias": "shared.admin.aliases:alias",
    "audit": "shared.admin.audit:audit",
    "blacklist": "shared.admin.blacklist:blacklist",
    "completion": "shared.admin.completion:completion",
    "config": "shared.admin.configuration:config",
    "demo": "shared.admin.demo.command:demo",
    "dkim": "shared.admin.dkim:dkim",
    "doctor": "shared.admin.doctor:doctor",
    "find": "shared.admin.find:find",
    "login": "shared.admin.login:login",
    "probe": "shared.admin.probe:probe",
    "queue": "shared.admin.queue:queue",
    "reload": "shared.admin.reload:reload",
    "route": "shared.admin.route:route",
    "sendmail": "shared.admin.sendmail_command:sendmail",
    "site": "shared.admin.site:site",
    "session": "shared.admin.session:session",
    "setup": "shared.admin.setup:setup",
    "status": "shared.admin.status:status",
    "top": "shared.admin.top:top",
    "trace": "shared.admin.trace:trace",
    "user": "shared.admin.users:user",
}


class Office:
    """What the nouns are given as `ctx.obj`. The configuration is read when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def config(self) -> Config:
        """Ends the command with every error of the file and exit 2 when it cannot be used."""
        try:
            return load(self.path)
        except ConfigErrors as errors:
            for problem in errors.problems:
                click.echo(str(problem), err=True)
            click.echo(
                "mercury: nothing can be done before that is right; daemons that run keep what they have", err=True
            )
            sys.exit(USAGE)


def match_prefix(given: str, names: list[str]) -> str:
    """The one of `names` that `given` is or begins. Raises click.UsageError."""
    if given in names:
        return given
    found = sorted(name for name in names if name.startswith(given))
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"'{given}' may mean {' or '.join(found)}")
    raise click.UsageError(f"there is no '{given}' here; there is {', '.join(sorted(names))}")


class PrefixGroup(click.Group):
    """A group whose commands may be shortened as long as only one is meant."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole first sentence, where click would cut it at the edge of the screen."""
        named = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, command.get_short_help_str(_SENTENCE)) for name, command in named.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            name = match_prefix(args[0], self.list_commands(ctx))
        except click.UsageError:
            if ctx.resilient_parsing:
                return None, None, args  #  a shell asks how the line may go on
            raise
        return name, self.get_command(ctx, name), args[1:]


class Nouns(PrefixGroup):
    """Commands by the module they live in, which is imported when it is asked for; and those added to it as usual."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._modules, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._modules[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Nouns, modules=NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="MERCURY_CONFIG",
    default=DEFAULT_PATH,
    show_default=True,
    help="The configuration file; also $MERCURY_CONFIG.",
)
@click.version_option(shared.__version__, prog_name="mercury")
@click.pass_context
def mercury(ctx: click.Context, path: Path) -> None:
    """Look after the Mercury mail suite. Works with the daemons up or down.

    Nouns and verbs may be shortened as long as only one is meant: `mercury q l` is `mercury queue list`.
    """
    ctx.obj = Office(path)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False
