"""Trouble that keeps a daemon from starting, as the operator reads it: what cannot be done, and what to do."""

from __future__ import annotations

import os
import pwd

from shared.mail.reply import printable
from shared.spool.spool import SpoolUnusable


class StartTrouble(Exception):
    """`what` continues "mercury-s: cannot ..."; `do` is an instruction. One line each.

    `by_configuration`: only another configuration helps, and a service manager need not try again.
    """

    def __init__(self, what: str, do: str, by_configuration: bool = False) -> None:
        super().__init__(what, do)
        self.what = what
        self.do = do
        self.by_configuration = by_configuration

    def __str__(self) -> str:
        return f"{self.what}; {self.do}"


#  What keeps a daemon from starting and needs no traceback: the text says it all.
EXPECTED = (StartTrouble, SpoolUnusable, OSError)


def line_of(daemon: str, error: BaseException) -> str:
    """The one line for stderr that says why `daemon` does not start."""
    if isinstance(error, StartTrouble):
        text = f"cannot {error}"
    elif isinstance(error, OSError):
        text = f"cannot {_os_trouble(error)}"
    elif isinstance(error, SpoolUnusable):
        text = f"cannot use the {error}"
    else:
        text = f"cannot start: {error}"
    return printable(f"{daemon}: {' '.join(text.split())}")


def _os_trouble(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"start: {reason}; see the event log for where it happened"
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"use {name}: {reason}; see that it exists and that user {user_name()} may use it"


def user_name() -> str:
    """Who we are, for instructions about permissions; the number when the account has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
