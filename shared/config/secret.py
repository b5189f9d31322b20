"""A file that holds a secret: where this process finds it, and whether it can be one. It is not opened here.

Under systemd a daemon is given its secrets as credentials (systemd.exec(5), LoadCredential=), and the folder they are
kept in is closed to it. The file PATH/FOLDER/NAME is then the credential FOLDER_NAME, as systemd calls those of a
whole folder, or NAME; so one configuration serves all daemons, and commands run by root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from shared.config.problem import shown

SYSTEMD_CREDENTIALS = Path("/run/credentials")


def credential_for(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The credential of this process for the secret at `path`, or `path` itself when it was given none."""
    given = environment.get("CREDENTIALS_DIRECTORY", "")
    if given:
        for name in (f"{path.parent.name}_{path.name}", path.name):
            found = Path(given, name)
            if found.is_file():
                return found
    return path


def is_credential(path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Guarded by systemd, whatever its mode looks like."""
    given = environment.get("CREDENTIALS_DIRECTORY", "")
    return path.is_relative_to(SYSTEMD_CREDENTIALS) or bool(given and path.is_relative_to(given))


def fault_of_secret(path: Path, make: str = "write the password into it, with mode 0600") -> str:
    """What is wrong with a file that holds a secret, or nothing. `make`: what to do when there is none."""
    if is_credential(path):
        return ""  # systemd shows each unit its own; the other daemons cannot look
    where = shown(str(path), longest=1000)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return f"{where} does not exist: {make}"
    except PermissionError:
        return ""  # a folder that is closed to us holds what another daemon needs; who needs it says so
    except OSError as error:
        return f"{where}: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):
        return f"{where} is no file"
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return f"{where} can be used by others (mode {mode}): set mode 0600"
    return "" if status.st_size else f"{where} is empty"
