"""What a running daemon says of itself, in a small file of the run folder, for `mercury status` and for people.

One JSON object: `pid`, `since` and `at` (Unix time), `status` (the words of `systemctl status`). It is written anew
every few seconds and removed at the end; what a killed daemon leaves is known by its pid. Not synced: it is of now.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

#  Parts of a status by which `mercury status` knows that somebody is needed.
REFUSED = "configuration refused"
WANTS_RESTART = "needs a restart for"
UNUSABLE_KEYS = "cannot sign with the DKIM key"


class Status(TypedDict):
    pid: int
    since: float
    at: float
    status: str


class StatusFile:
    """`complain` hears once why the file cannot be written; the daemon goes on without it."""

    def __init__(
        self,
        folder: Path,
        daemon: str,
        complain: Callable[[OSError], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = folder / f"{daemon}.json"
        self._complain = complain
        self._clock = clock
        self._since = clock()
        self._is_silent = False

    def write(self, status: str) -> None:
        now: Status = {"pid": os.getpid(), "since": self._since, "at": self._clock(), "status": status}
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            part.write_text(json.dumps(now) + "\n")
            part.chmod(0o644)
            part.rename(self._path)
        except OSError as error:
            if not self._is_silent:
                self._is_silent = True
                self._complain(error)

    def remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            pass  #  its pid tells that it is old


def read_status(folder: Path, daemon: str, pid: int) -> Status | None:
    """What the daemon with this `pid` last said; None when it says nothing, or the file is another's."""
    try:
        said: Status = json.loads((folder / f"{daemon}.json").read_text())
        return said if said["pid"] == pid and isinstance(said["status"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
