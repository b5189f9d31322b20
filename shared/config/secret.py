"""A file that holds a secret: whether it can be one. It is not opened here: not every daemon may."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shared.config.problem import shown

SYSTEMD_CREDENTIALS = Path("/run/credentials")


def fault_of_secret(path: Path) -> str:
    """What is wrong with a file that holds a password, or nothing."""
    if path.is_relative_to(SYSTEMD_CREDENTIALS):
        return ""  # systemd shows each unit its own; the other daemons cannot look
    where = shown(str(path), longest=1000)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return f"{where} does not exist: write the password into it, with mode 0600"
    except OSError as error:
        return f"{where}: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):
        return f"{where} is no file"
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return f"{where} can be used by others (mode {mode}): set mode 0600"
    return "" if status.st_size else f"{where} is empty"
