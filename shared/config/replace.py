"""Replacing a small file of ours: whole or not at all, durable, readable by the same people as before."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from shared.maildir.tree import sync_folder


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in place of `path`: readable by its owner only, whole or not at all, durable. Raises OSError.

    Owner, group and a group's right to read stay as they were, as the daemons run under another user than
    the one who writes here. A new file belongs to the owner of its folder; written by root into the folder of a
    group (root:mercury), it can be read by that group.
    """
    path = Path(os.path.realpath(path))
    try:
        old = path.stat()
        mode = old.st_mode & 0o640 | 0o600
    except FileNotFoundError:
        old = path.parent.stat()
        mode = 0o640 if os.geteuid() == 0 and old.st_gid != 0 else 0o600
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(path.parent)
