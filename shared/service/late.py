"""Code that is loaded when the configuration first asks for what it does, and not at every start.

Most hosts never use it, and each module costs memory and start-up time for good. But a daemon that was not restarted
after an upgrade would put new code beside the old it runs with: such a daemon refuses, and goes on as it is. So
our own code is loaded late in this way only, a feature at a time, at a start or a reload and never on the way of a
message. Libraries may also be loaded at first use.
"""

from __future__ import annotations

import os

import shared
from shared.service.trouble import StartTrouble


def _mark() -> tuple[int, ...]:
    """Of the program on the disk: an installer lays new files in the place of the old ones."""
    try:
        status = os.stat(shared.__file__)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


_OURS = _mark()


def assure_same_program(setting: str) -> None:
    """Before code for `setting` is loaded. Raises StartTrouble when the program on the disk has become another."""
    if _mark() != _OURS:
        raise StartTrouble(
            f"begin with '{setting}': Mercury was upgraded since this daemon started",
            "restart it, as only the new program can load the rest",
        )
