"""The tokens of one account on the disk: `oauth/NAME.json` below the state folder, mode 0600, written whole or not.

What stands there belongs to one configuration of the account (`made_for`); with another client or provider it is
worth nothing. The command writes it after a login and the daemon after a refresh, so each looks whether it has
changed: the daemon never writes over a login that came while it asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, field
from pathlib import Path

from shared.config.oauth import OAuth, places_of
from shared.mail.record import dataclass

FOLDER = "oauth"
Mark = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Times are Unix time. `trouble`: why the last attempt to get a token failed; empty after one that did not.
    `is_lost`: only a person can help. `is_told`: the postmaster knows."""

    made_for: str
    token: str = field(repr=False, default="")
    obtained: float = 0.0
    expires: float = 0.0
    refresh_token: str = field(repr=False, default="")
    trouble: str = ""
    since: float = 0.0
    is_lost: bool = False
    is_told: bool = False


class TokenFile:
    def __init__(self, state: Path, name: str, settings: OAuth) -> None:
        self._path = state / FOLDER / f"{name}.json"
        self._state = state
        self.made_for = f"{settings.grant} {settings.client_id} {settings.subject} {places_of(settings).token}"

    def mark(self) -> Mark:
        """Another one when the file is another one."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def read(self) -> Kept:
        """What there is for this account; nothing when there is no file for it. Raises OSError."""
        try:
            with self._path.open("rb") as file:
                kept = Kept(**json.load(file))
        except (FileNotFoundError, ValueError, TypeError):
            return Kept(self.made_for)
        return kept if kept.made_for == self.made_for else Kept(self.made_for)

    def write(self, kept: Kept) -> Mark:
        """Durable when it returns: a refresh token that has been exchanged exists nowhere else. Raises OSError."""
        folder = self._path.parent
        self.prepare()
        owner = _owner(folder)
        #  mkstemp makes it 0600, and nobody's but ours.
        descriptor, part = tempfile.mkstemp(dir=folder, prefix=".part-")
        try:
            with open(descriptor, "w") as file:
                if owner is not None:
                    os.fchown(descriptor, *owner)
                json.dump(asdict(kept), file)
                file.flush()
                os.fsync(descriptor)
            os.rename(part, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self.mark()

    def prepare(self) -> None:
        """The folder, whose owner is the owner of all in it. MercuryC makes it, where systemd has not. Raises
        OSError."""
        folder = self._path.parent
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = _owner(self._state)
            if owner is not None:
                os.chown(folder, *owner)


def _owner(folder: Path) -> tuple[int, int] | None:
    """Whose a file becomes that root writes there: the daemon's, whose the folder is."""
    if os.geteuid() != 0:
        return None
    status = os.stat(folder)
    return status.st_uid, status.st_gid
