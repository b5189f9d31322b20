"""The tables of people that MercuryS keeps: accounts, aliases, the directory over both, and the checking of logins.

They outlive a reload, so that failures stay counted; where their files are may change with it.
"""

from __future__ import annotations

import time
from concurrent.futures import Executor

from mercury_s.auth.authenticate import Failure
from mercury_s.auth.choice import make_authenticator
from mercury_s.auth.failures import Failures
from mercury_s.local.aliases import AliasesError
from mercury_s.local.aliases_file import AliasesFile
from mercury_s.local.directory import Directory
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.mailing_list import MailingLists
from mercury_s.local.people_names import PeopleNames
from mercury_s.local.quota import Quotas
from mercury_s.local.reception import Reception
from mercury_s.local.srs import Srs
from mercury_s.local.srs_key import KeyUnusable, read_keys
from shared.config.account import AccountsError
from shared.config.accounts import AccountsFile
from shared.config.model import Config
from shared.observe import events
from shared.observe.log import log
from shared.service.trouble import StartTrouble


class People:
    """Raises StartTrouble when one of the files cannot be used."""

    def __init__(self, config: Config, executor: Executor, failures: Failures) -> None:
        try:
            self.accounts = AccountsFile.load(config.local.users, time.monotonic, _refused)
            self.aliases = AliasesFile.load(config.local.aliases, time.monotonic, _refused)
        except (AccountsError, AliasesError) as error:
            raise StartTrouble(
                f"use the users or aliases: {str(error).splitlines()[0]}", "correct the file"
            ) from error
        domains = config.local.domains or (config.hostname,)
        local = config.local
        self.folders = MailboxFolders(local.maildir)
        self.srs = _make_srs(config, domains)
        names = PeopleNames(lambda: self.accounts.accounts) if local.names.first_last else None
        lists = MailingLists(local.lists, time.monotonic) if local.lists else None
        self.directory = Directory(
            domains,
            lambda: self.accounts.accounts,
            lambda: self.aliases.rules,
            names,
            lists,
            self.srs,
            self._look_again,
        )
        #  With LMTP the mailbox server keeps the quotas.
        self.quotas = None if local.lmtp else Quotas(local.quota.default, local.quota.over, time.time)
        asked = self.quotas if local.quota.at_rcpt else None
        self.reception = Reception(self.folders, asked) if asked or lists else None
        self.authenticator = make_authenticator(config, self.accounts, domains[0], executor, failures, _failed)

    def _look_again(self) -> None:
        self.accounts.expire()
        self.aliases.expire()

    def say_dead_ends(self) -> None:
        for line in self.directory.dead_ends():
            log.event(events.USERS_REFUSED, path=str(self.aliases.path), reason=line)


def _make_srs(config: Config, domains: tuple[str, ...]) -> Srs | None:
    if not config.local.srs:
        return None
    try:
        keys = read_keys(config.state / "srs.key")
    except KeyUnusable as error:
        raise StartTrouble(
            f"use the key of SRS: {error}", "correct the file, or take it away for a new one"
        ) from error
    return Srs(keys, config.local.srs_domain or domains[0], time.time)


def _refused(error: AccountsError | AliasesError) -> None:
    log.event(events.USERS_REFUSED, reason=str(error).splitlines()[0])


def _failed(failure: Failure) -> None:
    log.event(
        events.LOGIN_REFUSED,
        client=failure.client,
        account=failure.account or None,
        delay=failure.delay,
        blocked=failure.is_blocked,
    )
