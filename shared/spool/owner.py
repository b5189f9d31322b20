"""Owners of claims: a heartbeat file for each process, and the question whether an owner still lives.

On one host a lock answers it, at once and for certain. Between hosts a heartbeat does that did not change while we
watched: by our own clock, as the clocks of two hosts are never compared (and any clock may jump), and only as long as
we could look. Who hangs with a shared file system for a minute finds that all others have hung too.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable

from shared.maildir.tree import close_quietly, listed
from shared.spool.spool import Spool

#  With a look every LOOK_EVERY seconds, what a dead host had is taken over within a minute of its last beat.
STALE_AFTER = 40.0
BEAT_EVERY = 10.0
LOOK_EVERY = 5.0
#  Two looks further apart than this are no watching: in between the file system may have hung.
_LONGEST_BLINK = 4 * LOOK_EVERY

#  Stands for the heartbeat of an owner who has no file.
_NO_BEAT = -1

#  For writing, as NFS grants an exclusive lock to nothing less.
_PROBE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Owner:
    """This process as a claimant. `clock` counts seconds and does not go back: time.monotonic, or a test's."""

    def __init__(self, spool: Spool, daemon: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.id = f"{daemon}.{os.getpid()}.{secrets.token_hex(3)}.{spool.node}"
        self.daemon = daemon
        self._spool = spool
        self._clock = clock
        self._path = self._path_of(self.id)
        self._descriptor = -1
        #  Of owners on other hosts: the last beat, since when it is the same, when we last looked.
        self._seen: dict[str, tuple[int, float, float]] = {}

    def begin(self) -> None:
        """Be alive from now on. Raises OSError. Nothing may be claimed before."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                break
            #  Between our open and our lock somebody's sweep took the file for that of a dead owner.
            os.close(descriptor)
        self._descriptor, before = descriptor, self._descriptor
        if before >= 0:
            close_quietly(before)

    def beat(self) -> None:
        """Show that we live; every BEAT_EVERY seconds. Raises OSError."""
        if self._descriptor < 0 or not os.fstat(self._descriptor).st_nlink:
            self.begin()
        os.utime(self._descriptor)

    def end(self) -> None:
        """Be dead: what is still claimed can be adopted at once."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
            finally:
                os.close(descriptor)

    def is_alive(self, owner: str) -> bool:
        """Whether `owner`, an id out of a claim's name, may still be working on it."""
        if owner == self.id:
            return self._descriptor >= 0
        return not self._is_dead(owner, bury=False)

    def watch(self) -> None:
        """Look at the hearts on other hosts; every LOOK_EVERY seconds. Raises OSError."""
        for entry in listed(str(self._spool.owners)):
            if not self._is_of_this_host(entry.name):
                self._is_dead(entry.name, bury=False)

    def sweep(self) -> int:
        """Remove the heartbeat files of dead owners; how many there were."""
        return sum(1 for entry in listed(str(self._spool.owners)) if self._sweep_one(entry.name))

    def _sweep_one(self, owner: str) -> bool:
        dead = owner != self.id and self._is_dead(owner, bury=True)
        if dead:
            self._seen.pop(owner, None)
            self._spool.report("leftover_swept", path=self._path_of(owner))
        return dead

    def _is_dead(self, owner: str, bury: bool) -> bool:
        is_ours = self._is_of_this_host(owner)
        try:
            descriptor = os.open(self._path_of(owner), _PROBE)
        except FileNotFoundError:
            #  Another host's file may be there and hidden from us for a while: a shared file system remembers what
            #  it did not find.
            return is_ours or self._is_stale(owner, _NO_BEAT)
        except OSError:
            return False
        try:
            if not (_is_unlocked(descriptor) if is_ours else self._is_stale(owner, os.fstat(descriptor).st_mtime_ns)):
                return False
            if bury:
                #  Still locked by us: an owner that begins at this moment under this name notices and begins again.
                os.unlink(self._path_of(owner))
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def _is_of_this_host(self, owner: str) -> bool:
        return owner.split(".", 3)[3:] == [self._spool.node]

    def _is_stale(self, owner: str, beat: int) -> bool:
        now = self._clock()
        seen, since, looked = self._seen.get(owner, (None, now, now))
        if seen != beat or now - looked > _LONGEST_BLINK:
            since = now
        self._seen[owner] = (beat, since, now)
        return now - since > STALE_AFTER

    def _path_of(self, owner: str) -> str:
        return f"{self._spool.owners}/{owner}"


def _is_unlocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
