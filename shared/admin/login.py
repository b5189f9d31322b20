"""`mercury login NAME`: somebody gives an OAuth account of the configuration the consent to send mail.

The token is put where MercuryC finds it; the daemon need not run, and need not be reloaded. An account that needs
nobody's consent is tried, so that one sees whether it works.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import click

from shared.admin.command import SOME_FAILED, Office
from shared.config.model import Config
from shared.config.oauth import Grant
from shared.config.scalars import did_you_mean
from shared.mail.reply import printable
from shared.oauth.account import granted
from shared.oauth.answers import DeviceCode, Granted
from shared.oauth.endpoint import Endpoint, EndpointDown
from shared.oauth.forms import Forms
from shared.oauth.person import LoginFailed, by_browser, by_device, by_itself
from shared.oauth.standing import standing_of
from shared.oauth.token_file import Kept, TokenFile
from shared.service.credentials import Credentials
from shared.service.once import run_once


@click.command()
@click.argument("name", required=False)
@click.pass_obj
def login(office: Office, name: str | None) -> None:
    """Let an OAuth account of the configuration send mail.

    NAME stands below "oauth" in the configuration; it may be left out if there is only one.
    """
    config = office.config
    account = _account(config, name)
    try:
        answer = run_once(lambda reactor: _obtain(config, account, reactor))
        file = TokenFile(config.state, account, config.oauth[account])
        kept = granted(Kept(file.made_for), answer, time.time())
        file.write(kept)
    except (LoginFailed, EndpointDown, ValueError) as trouble:
        click.echo(f"no token for {account}: {printable(str(trouble))}", err=True)
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        click.echo(f"no token for {account}: given up", err=True)
        sys.exit(SOME_FAILED)
    except OSError as error:
        click.echo(f"the token for {account} cannot be kept: {error.filename}: {error.strerror}", err=True)
        sys.exit(SOME_FAILED)
    click.echo(f"{account}: {standing_of(account, config.oauth[account], kept, time.time()).text}")
    if config.oauth[account].grant.needs_person and not kept.refresh_token:
        click.echo("The provider gave no refresh token, so that is all: does 'scopes' ask for one?", err=True)
    click.echo("MercuryC uses it from its next login on; 'mercury queue retry --all' sends what waits at once.")


def _account(config: Config, name: str | None) -> str:
    names = list(config.oauth)
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    if not names:
        raise click.UsageError("the configuration names no account below 'oauth'")
    if name is None:
        raise click.UsageError(f"which account: {', '.join(names)}?")
    raise click.UsageError(f"there is no account {name!r} below 'oauth'{did_you_mean(name, names)}")


async def _obtain(config: Config, name: str, reactor: Any) -> Granted:
    settings = config.oauth[name]
    endpoint = Endpoint(settings, reactor)
    forms = Forms(settings, Credentials().read, time.time)
    if settings.grant is Grant.DEVICE:
        return await by_device(endpoint, forms, _show, asyncio.sleep)
    if settings.grant is Grant.BROWSER:
        return await by_browser(settings, endpoint, forms, _bring)
    return await by_itself(endpoint, forms)


def _show(code: DeviceCode) -> None:
    click.echo(f"Open {code.place} on any device, log in as whom the mail is to be sent for,")
    click.echo(f"and enter the code {code.user_code} within {code.lifetime / 60:.0f} minutes. Waiting ...")
    sys.stdout.flush()


def _bring(address: str) -> str:
    click.echo("Open this address in a browser, and log in as whom the mail is to be sent for:")
    click.echo(f"\n    {address}\n")
    click.echo("In the end the browser says that it cannot reach 127.0.0.1. Copy the address it shows then.")
    answer: str = click.prompt("The address", prompt_suffix=": ")
    return answer
