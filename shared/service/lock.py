"""One instance of a daemon for one spool on one host; of the page, for one run folder.

The lock is flock(2) on `<spool>/<daemon>.<host>.lock`: freed by the kernel whatever happens to its holder. The host
is in the name because several hosts may share a spool, and flock reaches across some shared file systems. The file
stays; removing it would let two holders have two different files of one name.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from shared.service.trouble import StartTrouble, user_name

#  `mercury status` tries the lock for an instant to see whether a daemon runs; a daemon that starts just then waits.
_TRIES = 6
_PAUSE = 0.05


def lock_path(spool: Path, daemon: str) -> Path:
    return spool / f"{daemon}.{socket.gethostname()}.lock"


class InstanceLock:
    def __init__(self, path: Path, daemon: str) -> None:
        self._path = path
        self._daemon = daemon
        self._descriptor = -1

    def take(self) -> None:
        """Raises StartTrouble when another instance has it or the spool cannot be written."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartTrouble(
                f"write in {self._path.parent}: {error.strerror}",
                f"create it and give it to user {user_name()}, or name another folder in the configuration",
            ) from error
        if not _try(descriptor):
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StartTrouble(
                f"start: {self._daemon} is already running as pid {holder} on the spool {self._path.parent}",
                "stop that one first, or give this one a spool of its own",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _try(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(_PAUSE)
    return False


def running_pid(path: Path) -> int | None:
    """The process that holds the lock, None when nobody does. Raises OSError when that cannot be seen."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        text = os.read(descriptor, 32).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
