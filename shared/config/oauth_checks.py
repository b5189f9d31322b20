"""What the settings of an OAuth account have to do with each other, and with the smarthosts that use it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from shared.config.oauth import Grant, OAuth, Preset, places_of
from shared.config.problem import Problem, shown
from shared.config.scalars import did_you_mean
from shared.config.secret import fault_of_secret
from shared.config.sites import Hop
from shared.config.yaml import Settings
from shared.routing.next_hop import Tls

if TYPE_CHECKING:
    from shared.config.model import Config

#  It is the name of a file, too.
ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def check_accounts(config: Config, given: Settings, elsewhere: Collection[str] = ()) -> Iterator[Problem]:
    """`elsewhere`: accounts that only other hosts log in with, so that their secrets need not lie here."""
    for name, account in config.oauth.items():
        if not ACCOUNT_NAME.match(name):
            accounts: Settings = given["oauth"]
            text = f"{shown(name)} is no name for an account: use letters, digits, '.', '_' and '-'"
            yield accounts.origin.problem_with_name(text, name)
        yield from _check_places(account)
        yield from _check_proof(account)
        if name not in elsewhere:
            yield from _check_files(account)


def check_use(hop: Hop, accounts: Mapping[str, OAuth]) -> Iterator[Problem]:
    """A hop that logs in with a token."""
    origin = hop.origin
    if hop.oauth and hop.oauth not in accounts:
        text = f"there is no account {shown(hop.oauth)} below 'oauth'{did_you_mean(hop.oauth, list(accounts))}"
        yield origin.problem(text, "oauth")
    if hop.oauth and not hop.login:
        yield origin.problem("'oauth' needs a 'login': whose mailbox the token is for", "oauth")
    if hop.oauth and hop.password_file is not None:
        yield origin.problem("'oauth' and 'password_file' exclude each other: a token or a password", "oauth")
    if hop.oauth and hop.tls not in (Tls.VERIFY, Tls.PIN):
        yield origin.problem("a token is only shown to a server that is known: 'oauth' needs 'tls: verify'", "tls")


def _check_places(account: OAuth) -> Iterator[Problem]:
    origin, places, grant = account.origin, places_of(account), account.grant
    if not places.token:
        yield origin.problem("'token_url' is missing, or a 'preset' that knows it")
    if grant is Grant.DEVICE and not places.device:
        yield origin.problem("'grant: device' needs a 'device_url', or a 'preset' that knows it")
    if grant is Grant.BROWSER and not places.login:
        yield origin.problem("'grant: browser' needs a 'login_url', or a 'preset' that knows it")
    if account.preset is Preset.MICROSOFT and grant is Grant.CLIENT and not account.tenant:
        yield origin.problem("'grant: client' at Microsoft needs the 'tenant'", "preset")
    if account.preset is Preset.MICROSOFT and grant is Grant.SERVICE:
        yield origin.problem("Microsoft knows no 'grant: service': say 'grant: client'", "grant")
    if account.preset is Preset.GOOGLE and grant is Grant.DEVICE and account.scopes is None:
        text = "Google lets nobody send mail who logged in on another device: say 'grant: browser', or 'service'"
        yield origin.problem(text, "grant" if "grant" in account.given else "preset")
    if account.preset is Preset.GOOGLE and grant is Grant.CLIENT:
        yield origin.problem("Google knows no 'grant: client': say 'grant: service'", "grant")
    if account.tenant and account.preset is not Preset.MICROSOFT:
        yield origin.problem("'tenant' belongs to 'preset: microsoft'", "tenant")


def _check_proof(account: OAuth) -> Iterator[Problem]:
    origin, grant = account.origin, account.grant
    if account.secret_file is not None and account.key is not None:
        yield origin.problem("'secret_file' and 'key' exclude each other: one shows who we are", "secret_file")
    if account.certificate is not None and account.key is None:
        yield origin.problem("'certificate' needs its 'key'", "certificate")
    if grant is Grant.CLIENT and account.secret_file is None and account.key is None:
        yield origin.problem("'grant: client' needs a 'secret_file' or a 'key'")
    if grant is Grant.SERVICE and account.key is None:
        yield origin.problem("'grant: service' needs a 'key'")
    if grant is Grant.SERVICE and not account.subject:
        yield origin.problem("'grant: service' needs a 'subject': in whose name mail is sent")
    if account.subject and grant is not Grant.SERVICE:
        yield origin.problem("'subject' belongs to 'grant: service'", "subject")


def _check_files(account: OAuth) -> Iterator[Problem]:
    for name in ("secret_file", "key"):
        path = getattr(account, name)
        if path is not None and (fault := fault_of_secret(path)):
            yield account.origin.problem(fault, name)
    for name in ("certificate", "authorities"):
        path = getattr(account, name)
        if path is not None and not os.path.isfile(path):
            text = f"{shown(str(path), longest=1000)} does not exist, or is no file"
            yield account.origin.problem(text, name)
