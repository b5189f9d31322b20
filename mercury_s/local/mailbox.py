"""Where a mailbox is, and what a message in it is called.

The folder comes from the account that was found in the table, never from what a peer has said; the name is made
here. Not here: writing (maildrop.py), who has a mailbox (directory.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from shared.config.account import Account, check_mailbox_name

#  djb's maildir(5): a host name in a file name has its / and : written in octal.
_HOST = str.maketrans({"/": "\\057", ":": "\\072"})


class MailboxFolders:
    """`template` as in `/var/mail/mercury/{domain}/{user}`; the domain in A-labels, both in lower case."""

    def __init__(self, template: str) -> None:
        if not template.startswith("/") or "{user}" not in template:
            raise ValueError(f"{template}: the template of a Maildir begins with / and contains {{user}}")
        self._template = template
        self._folders: dict[str, str] = {}

    def folder(self, account: Account) -> str:
        key = account.key
        folder = self._folders.get(key)
        if folder is None:
            check_mailbox_name(account.address)  #  the users file refuses such names; nothing else may bring one in
            user, _, domain = key.rpartition("@")
            #  The user last: a local part may hold braces, a domain never does.
            folder = self._template.replace("{domain}", domain).replace("{user}", user)
            self._folders[key] = folder
        return folder


class MessageNames:
    """Unique names of messages: `<seconds>.M<microseconds>P<process>Q<number>.<host>,S=<size>`."""

    def __init__(self, host: str, process: int, clock: Callable[[], float]) -> None:
        self._host = host.translate(_HOST)
        self._process = process
        self._clock = clock
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A name without its size, as it is used in tmp/ while that is not known."""
        seconds, microseconds = divmod(int(self._clock() * 1_000_000), 1_000_000)
        return f"{seconds}.M{microseconds:06d}P{self._process}Q{next(self._numbers)}.{self._host}"

    @staticmethod
    def sized(name: str, size: int) -> str:
        return f"{name},S={size}"
