"""`mercury user`: who has a mailbox here, and who may log in to it. The daemons see a change within a second.

Here: the verbs. Not here: the users file (shared/config/accounts.py), passwords (shared/config/passwords.py).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import click

from shared.admin.caller import tell_action
from shared.admin.command import NOTHING_MATCHED, SOME_FAILED, USAGE, Office, PrefixGroup
from shared.admin.completing import complete_accounts
from shared.admin.output import echo_json, echo_table, fail
from shared.config.account import Account, AccountsError, check_mailbox_name, check_name, parse_quota
from shared.config.accounts import AccountsFile
from shared.config.model import Config
from shared.config.passwords import LONGEST_PASSWORD, SALT_SIZE, PasswordHash, check_new_password, hash_password
from shared.config.scram import SALT_SIZE as SCRAM_SALT_SIZE
from shared.config.scram import new_scram_keys
from shared.mail.address import Address, AddressError, parse_address, to_ascii
from shared.mail.reply import printable
from shared.smtp.sasl_scram import ScramKeys

Value = TypeVar("Value")

address_argument = click.argument("text", metavar="ADDR", shell_complete=complete_accounts)
stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")


def _checked(check: Callable[[str], Value]) -> Callable[[click.Context, click.Parameter, str | None], Value | None]:
    """An option whose word `check` takes or refuses with a ValueError."""

    def take(context: click.Context, parameter: click.Parameter, text: str | None) -> Value | None:
        try:
            return None if text is None else check(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return take


name_option = click.option(
    "--name", metavar="NAME", callback=_checked(lambda text: check_name(text) if text else ""),
    help="Whose it is: 'Anna Berg'; see local.names.first_last.",
)  # fmt: skip
quota_option = click.option(
    "--quota", metavar="SIZE", callback=_checked(parse_quota), help="How much it may hold: 2G, or none for no limit."
)
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the event log.")
json_option = click.option("--json", "as_json", is_flag=True, help="The account as it is now, as a JSON object.")


@click.group(cls=PrefixGroup)
def user() -> None:
    """Mailboxes of the local domains, and their logins."""


@user.command()
@address_argument
@stdin_option
@click.option("--no-password", is_flag=True, help="A mailbox only: nobody can log in to it.")
@name_option
@quota_option
@json_option
@click.pass_obj
def add(
    office: Office,
    text: str,
    password_stdin: bool,
    no_password: bool,
    name: str | None,
    quota: int | None,
    as_json: bool,
) -> None:
    """A new mailbox. Its folder is made by the first message."""
    config = office.config
    address = _new_address(text, config)
    if password_stdin and no_password:
        raise click.UsageError("--password-stdin and --no-password exclude each other")
    _require_new(address, _accounts(config).accounts)
    password, scram = (None, None) if no_password else _ask_password(password_stdin)
    with _changing(config) as accounts:
        _require_new(address, accounts)  #  also after the time it took to type a password
        account = accounts[address.key] = Account(address, password, scram=scram, name=name or "", quota=quota)
    said = "has a mailbox" + (", and nobody can log in to it" if no_password else "")
    _tell(config, "user-added", account, said, as_json)


@user.command()
@address_argument
@stdin_option
@json_option
@click.pass_obj
def passwd(office: Office, text: str, password_stdin: bool, as_json: bool) -> None:
    """Another password, also for a mailbox that had none."""
    address = _address(text)
    _require(address, _accounts(office.config).accounts)
    password, scram = _ask_password(password_stdin)
    account = _change(office.config, address, lambda account: replace(account, password=password, scram=scram))
    _tell(office.config, "user-password-changed", account, "has a new password", as_json)


@user.command("set")
@address_argument
@name_option
@quota_option
@reason_option
@json_option
@click.pass_obj
def set_fields(office: Office, text: str, name: str | None, quota: int | None, reason: str, as_json: bool) -> None:
    """Another name or quota. `--name ''` takes the name away."""
    address = _address(text)
    if name is None and quota is None:
        raise click.UsageError("nothing to set: give --name or --quota")
    fields: dict[str, Any] = {key: value for key, value in (("name", name), ("quota", quota)) if value is not None}
    account = _change(office.config, address, lambda account: replace(account, **fields))
    _tell(office.config, "user-set", account, "is changed", as_json, reason)


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_users(office: Office, as_json: bool) -> None:
    """Every mailbox and whether one can log in to it."""
    config = office.config
    domains = _domains(config)
    accounts = list(_accounts(config).accounts.values())
    if as_json:
        for account in accounts:
            echo_json(_fields(account, config))
    elif accounts:
        rows = [(str(account.address), _login(account), _remark(account, domains)) for account in accounts]
        echo_table(("ADDRESS", "LOGIN", ""), rows)
    else:
        click.echo("There are no mailboxes. `mercury user add ADDR` makes one.")


@user.command()
@address_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option
@json_option
@click.pass_obj
def remove(office: Office, text: str, yes: bool, reason: str, as_json: bool) -> None:
    """No mailbox and no login any more. The mail in it stays, and `user add` brings it back."""
    config, address = office.config, _address(text)
    if not yes:
        click.confirm(printable(f"Refuse mail for {address} from now on?"), abort=True)
    with _changing(config) as accounts:
        account = _require(address, accounts)
        del accounts[address.key]
    local, _, domain = address.key.rpartition("@")
    folder = config.local.maildir.replace("{domain}", domain).replace("{user}", local)
    _tell(config, "user-removed", account, f"is removed; what it received stays in {folder}", as_json, reason)


@user.command()
@address_argument
@reason_option
@json_option
@click.pass_obj
def disable(office: Office, text: str, reason: str, as_json: bool) -> None:
    """No login for now; mail still arrives, and the password is kept."""
    account = _change(office.config, _address(text), lambda account: replace(account, disabled=True))
    _tell(office.config, "user-disabled", account, "cannot log in any more; its mail still arrives", as_json, reason)


@user.command()
@address_argument
@reason_option
@json_option
@click.pass_obj
def enable(office: Office, text: str, reason: str, as_json: bool) -> None:
    """The login of a disabled account works again."""
    account = _change(office.config, _address(text), lambda account: replace(account, disabled=False))
    _tell(office.config, "user-enabled", account, "can log in again", as_json, reason)


def _address(text: str) -> Address:
    try:
        address = parse_address(text)
        check_mailbox_name(address)
    except AddressError as error:
        fail(f"{text}: {error}", USAGE)
    return address


def _new_address(text: str, config: Config) -> Address:
    address = _address(text)
    domains = _domains(config)
    if address.ascii_domain not in domains:
        fail(f"{address.domain} is no local domain; there is {', '.join(domains) or 'none'} (local.domains)", USAGE)
    return address


def _domains(config: Config) -> list[str]:
    return [to_ascii(domain) for domain in config.local.domains]


def _is_local(account: Account, domains: list[str]) -> bool:
    return account.address.ascii_domain in domains


def _login(account: Account) -> str:
    if account.password is None:
        return "none"
    return "disabled" if account.disabled else "password"


def _remark(account: Account, domains: list[str]) -> str:
    return "" if _is_local(account, domains) else "gets no mail: its domain is not local"


def _accounts(config: Config) -> AccountsFile:
    try:
        return AccountsFile.load(config.local.users, time.monotonic)
    except AccountsError as error:
        _fail_with(error)


@contextmanager
def _changing(config: Config) -> Iterator[dict[str, Account]]:
    """The accounts to change; ends the command when the file cannot be used."""
    try:
        with AccountsFile(config.local.users, time.monotonic).changing() as accounts:
            yield accounts
    except AccountsError as error:
        _fail_with(error)
    except OSError as error:
        fail(f"{error.filename or config.local.users}: {error.strerror}", SOME_FAILED)


def _change(config: Config, address: Address, change: Callable[[Account], Account]) -> Account:
    with _changing(config) as accounts:
        account = accounts[address.key] = change(_require(address, accounts))
    return account


def _tell(config: Config, action: str, account: Account, said: str, as_json: bool, reason: str = "") -> None:
    """What was done: to who keeps the records, and to who typed it."""
    tell_action(config, action, reason, recipient=str(account.address))
    if as_json:
        echo_json(_fields(account, config))
    else:
        click.echo(printable(f"{account.address} {said}"))


def _fields(account: Account, config: Config) -> dict[str, object]:
    return {
        "address": str(account.address),
        "login": _login(account),
        "local": _is_local(account, _domains(config)),
        "name": account.name,
        "quota": account.quota,
    }


def _require_new(address: Address, accounts: Mapping[str, Account]) -> None:
    if address.key in accounts:
        fail(f"{address} is there already; `mercury user passwd` changes its password", SOME_FAILED)


def _require(address: Address, accounts: Mapping[str, Account]) -> Account:
    account = accounts.get(address.key)
    if account is None:
        fail(f"there is no mailbox {address}", NOTHING_MATCHED)
    return account


def _ask_password(from_stdin: bool) -> tuple[PasswordHash, ScramKeys]:
    """What is kept of a new password, for logins that say it and for those that prove it."""
    if from_stdin:
        line = sys.stdin.buffer.readline(4 * LONGEST_PASSWORD).rstrip(b"\r\n")
        try:
            password = line.decode("utf-8")
        except UnicodeDecodeError:
            fail("the password on stdin is not UTF-8", USAGE)
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
    else:
        raise click.UsageError("there is no terminal to ask for a password: give --password-stdin")
    try:
        check_new_password(password)
    except ValueError as error:
        fail(str(error), USAGE)
    return hash_password(password, os.urandom(SALT_SIZE)), new_scram_keys(password, os.urandom(SCRAM_SALT_SIZE))


def _fail_with(error: AccountsError) -> NoReturn:
    for problem in error.problems:
        click.echo(problem, err=True)
    sys.exit(USAGE)
