"""`mercury config init`: five questions, or their answers as options, and a configuration that can be used.

Not here: what stands in the file (first_configuration.py).
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from shared.admin.command import SOME_FAILED, USAGE, Office
from shared.admin.first_configuration import Answers, render
from shared.config.load import ConfigErrors, hostname_of_this_host, parse
from shared.config.passwords import LONGEST_PASSWORD
from shared.mail.reply import printable

SECRET = Path("secrets/mercury-c/smarthost")
_WAYS = ("relay", "direct", "auto", "hold")
_BY_SMARTHOST = ("relay", "auto")


@click.command()
@click.option("--hostname", metavar="NAME", help="What this host is called.")
@click.option("--domains", metavar="LIST", help="Domains with mailboxes here, separated by commas.")
@click.option("--networks", metavar="LIST", help="Networks whose clients may send, separated by commas; or none.")
@click.option("--delivery", type=click.Choice(_WAYS), help="How mail to other domains leaves.")
@click.option("--smarthost", metavar="HOST[:PORT]", help="The provider's server, for --delivery relay and auto.")
@click.option("--login", default="", metavar="NAME", help="The login at the smarthost.")
@click.option("--password-stdin", is_flag=True, help="Its password is the first line of stdin.")
@click.option("--print", "only_print", is_flag=True, help="Show the file, and write nothing.")
@click.pass_obj
def init(
    office: Office,
    hostname: str | None,
    domains: str | None,
    networks: str | None,
    delivery: str | None,
    smarthost: str | None,
    login: str,
    password_stdin: bool,
    only_print: bool,
) -> None:
    """Write a first configuration: asks five questions; what is given as an option is not asked.

    A file that is there already is never touched.
    """
    path = office.path
    if not only_print and path.exists():
        raise click.UsageError(f"{path} exists; name another with --config, or see it with --print")
    hostname = hostname or _ask("1. The full name of this host", hostname_of_this_host())
    domains = domains or _ask("2. Domains that have mailboxes here", hostname.partition(".")[2] or hostname)
    networks = networks or _ask("3. Networks whose clients may send mail to anywhere (or none)", "none")
    delivery = delivery or _ask("4. How mail to others leaves", "direct", click.Choice(_WAYS))
    if delivery in _BY_SMARTHOST:
        smarthost = smarthost or _ask("5. The provider's server for outgoing mail, host or host:port")
        login = login or ("" if not sys.stdin.isatty() else _ask("   The login there (or none)", "none"))
    answers = Answers(
        hostname, _words(domains), _words(networks), delivery, smarthost or "", "" if login == "none" else login
    )
    secret = _password(answers, password_stdin) if answers.login and not only_print else ""
    if answers.login:
        answers = replace(answers, password_file=str(SECRET))
    text = render(answers)
    if only_print:
        click.echo(text, nl=False)
        return
    _write(path, text, secret)


def _ask(question: str, default: str | None = None, kind: click.Choice[str] | None = None) -> str:
    answer: str = click.prompt(question, default=default, type=kind)
    return answer


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word != "none")


def _password(answers: Answers, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline(LONGEST_PASSWORD + 2).rstrip("\n")
    elif sys.stdin.isatty():
        password = click.prompt(f"   The password of {answers.login} there", hide_input=True)
    else:
        raise click.UsageError("the password of the login: give it with --password-stdin")
    if not password:
        raise click.UsageError("the password is empty")
    return password


def _write(path: Path, text: str, secret: str) -> None:
    """Both files, or, when the configuration is refused, none of them."""
    made: list[Path] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if secret:
            made.append(_create(path.parent / SECRET, secret + "\n", 0o600))
        parse(text, path)
        _create(path, text, 0o644)
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(printable(f"mercury: {problem.text}"), err=True)
        _forget(made)
        click.echo("Nothing is written.", err=True)
        sys.exit(USAGE)
    except OSError as error:
        _forget(made)
        click.echo(printable(f"mercury: cannot write {error.filename or path}: {error.strerror}"), err=True)
        sys.exit(SOME_FAILED)
    click.echo(
        printable(f"{path} is written. Next: `mercury user add ADDRESS` for each mailbox, and `mercury setup`.")
    )


def _create(path: Path, text: str, mode: int) -> Path:
    """Raises FileExistsError when it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return path


def _forget(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
