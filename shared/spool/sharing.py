"""One spool for one account, or for several of one group: what is different when it is shared.

A spool is shared when its folder says so: mode 2770, as the tmpfiles of the units make it. Folders below then have
the same mode, and their files can be read and written by the group. The mode of a spool that is not shared is 0700.
Files are made with mode 0660; what of that remains is the matter of the umask. Not here: who the accounts are.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shared.maildir.tree import CREATE, READ, forget_file

SHARED, OWN = 0o2770, 0o700
_PIECE = 1024 * 1024


def is_shared(root: Path) -> bool:
    """Raises OSError only when the folder is there and cannot be looked at."""
    try:
        return stat.S_IMODE(os.stat(root).st_mode) == SHARED
    except FileNotFoundError:
        return False


def folder_mode(root: Path) -> int:
    return SHARED if is_shared(root) else OWN


def umask_for(root: Path) -> int:
    """For a process that writes into the spool at `root`."""
    try:
        return 0o007 if is_shared(root) else 0o077
    except OSError:
        return 0o077


def replace_by_copy(path: str, tmp: str, when: float) -> None:
    """Put a copy of our own, with the time `when`, in the place of the file at `path`. Raises OSError.

    Whole and durable before it takes the name, so at any moment there is one file, the old or the new.
    """
    source = os.open(path, READ)
    try:
        forget_file(tmp)
        copy = os.open(tmp, CREATE, 0o660)
        try:
            while os.sendfile(copy, source, None, _PIECE):
                pass
            os.utime(copy, (when, when))
            os.fsync(copy)
            os.rename(tmp, path)
        except BaseException:
            forget_file(tmp)
            raise
        finally:
            os.close(copy)
    finally:
        os.close(source)
