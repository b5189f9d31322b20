"""The users file: which mailboxes exist here, and with which password one logs in to them.

Here: keeping up with the file, looking up, saving. Not here: its text (account.py), whose domain is local
(mercury_s/local), checking logins (mercury_s/auth).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared.config.account import Account, AccountsError, parse_accounts, render_accounts
from shared.config.replace import replace_file
from shared.config.watched import WatchedFile


class AccountsFile:
    """The accounts of one users file, read again when it has changed.

    A file that has become unreadable or wrong is reported once and the accounts read before stay: a slip of the
    pen must not make every mailbox unknown. A file that is not there when first read is an empty one.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float], report: Callable[[AccountsError], None] = lambda error: None
    ) -> None:
        self.path = path
        self.version = 0  #  grows with every change that was read
        self._file = WatchedFile(path, clock)
        self._report = report
        self._accounts: dict[str, Account] = {}

    @classmethod
    def load(
        cls, path: Path, clock: Callable[[], float], report: Callable[[AccountsError], None] = lambda error: None
    ) -> AccountsFile:
        """Raises AccountsError when the file is wrong or cannot be read."""
        accounts = cls(path, clock, report)
        accounts._read(missing_is_empty=True)
        return accounts

    @property
    def accounts(self) -> Mapping[str, Account]:
        """By `Address.key`, in the order of the file."""
        self.refresh()
        return self._accounts

    def lookup(self, key: str) -> Account | None:
        """The account with this `Address.key`."""
        self.refresh()
        return self._accounts.get(key)

    def refresh(self) -> None:
        """Read the file again if it has changed; at most one look a second."""
        if self._file.has_changed():
            try:
                self._read(missing_is_empty=False)
            except AccountsError as error:
                self._report(error)

    def expire(self) -> None:
        """The next look is not put off."""
        self._file.expire()

    def save(self, accounts: Iterable[Account]) -> None:
        """Replace the file durably: after a crash there is the old one or the new one. Raises OSError."""
        replace_file(self.path, render_accounts(accounts).encode())
        self._read(missing_is_empty=False)

    @contextmanager
    def changing(self) -> Iterator[dict[str, Account]]:
        """The accounts to change, by key, written back at the end; two changers wait for each other."""
        with _exclusive(self.path.parent):
            self._read(missing_is_empty=True)
            accounts = dict(self._accounts)
            yield accounts
            self.save(accounts.values())

    def _read(self, missing_is_empty: bool) -> None:
        self._file.mark()
        try:
            text = self.path.read_bytes()
        except FileNotFoundError as error:
            if not missing_is_empty:
                raise AccountsError([_unreadable(self.path, error)])
            text = b""
        except OSError as error:
            raise AccountsError([_unreadable(self.path, error)])
        self._accounts = parse_accounts(text, str(self.path))
        self.version += 1


def _unreadable(path: Path, error: OSError) -> str:
    who = ": act as root, or as a member of the group of its folder" if isinstance(error, PermissionError) else ""
    return f"{path}: error: cannot be read: {error.strerror}{who}"


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """The folder is locked, not the file: the file is replaced, and its lock would go with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
