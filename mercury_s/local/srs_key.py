"""The key of SRS: a file in the state folder, made when it is first needed, readable by nobody else.

A line is a key; the first signs and all verify, so that a key can be replaced without losing what is on its way back.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

_OCTETS = 32
_SHORTEST = 16  #  characters of a line


class KeyUnusable(Exception):
    """The file cannot be used; the message says why."""


def read_keys(path: Path) -> list[bytes]:
    """The keys in `path`, which is made with a new one if it is not there. Raises KeyUnusable."""
    try:
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
            return _read(path)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error


def _read(path: Path) -> list[bytes]:
    with open(path, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeyUnusable(f"{path} can be used by others (mode {mode:04o}): set mode 0600")
        keys = [line.strip() for line in file.read(65536).splitlines() if line.strip()]
    if not keys or any(len(key) < _SHORTEST for key in keys):
        raise KeyUnusable(f"{path} holds no key, or one of less than {_SHORTEST} characters")
    return keys


def _make(path: Path) -> None:
    """Whole or not at all, whoever else makes it now: written beside its place, then linked into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(_OCTETS).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            pass
    finally:
        os.unlink(part)
