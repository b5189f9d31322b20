"""One lane of the spool as its daemon works on it: scan, claim, settle, adopt, sweep.

Every method blocks on the disk and may run in any thread; two threads never hold the same claim. The states they lead
from and to are those of docs/spool.md: C (attempt), P, R and M (settling).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.maildir.tree import listed
from shared.routing.lane import Lane
from shared.spool.claim import DAMAGE, Damaged, open_claim
from shared.spool.claim import Claim as Claim
from shared.spool.names import claimed_name, name_in_lane, parse_name, split_claimed
from shared.spool.names_and_times import names_and_times
from shared.spool.owner import Owner
from shared.spool.sharing import replace_by_copy
from shared.spool.spool import Spool
from shared.spool.sweep import sweep_lane
from shared.spool.trail import Trail, TrailRecord, render_trail, write_whole


class LaneFolder:
    """`owner` has begun. One LaneFolder for a lane in a process."""

    def __init__(self, spool: Spool, lane: Lane, owner: Owner) -> None:
        self.lane = lane
        self._spool = spool
        self._owner = owner
        folder = str(spool.folder(lane))
        self._tmp, self._new, self._cur = f"{folder}/tmp", f"{folder}/new", f"{folder}/cur"
        self._trails = f"{folder}/trail"
        #  Names that this process has in cur/, or is about to: all others there under our id are astray.
        self._held: set[str] = set()
        #  Trails that had no entry at the last sweep.
        self._suspects: set[str] = set()
        self._was_scanned = False

    @property
    def new(self) -> str:
        """The folder where entries appear."""
        return self._new

    def scan(self) -> Iterator[tuple[str, float]]:
        """Names in new/ with their next attempt. Raises OSError when the folder cannot be read."""
        is_first, self._was_scanned = not self._was_scanned, True
        yield from names_and_times(self._new, is_cold=is_first)

    def due(self, name: str) -> float | None:
        """When `name` is to be tried next; None when it is not in new/."""
        try:
            return os.lstat(f"{self._new}/{name}").st_mtime
        except OSError:
            return None

    def claim(self, name: str) -> Claim | None:
        """The entry `name` for us alone, or None: it is gone, somebody else has it, or it was set aside."""
        parsed = parse_name(name)
        if parsed is None:
            self._spool.set_aside(f"{self._new}/{name}", self.lane, name, "its name is not that of an entry")
            return None
        path = f"{self._cur}/{claimed_name(name, self._owner.id)}"
        claim = None
        self._held.add(name)
        try:
            os.rename(f"{self._new}/{name}", path)
            claim = open_claim(name, parsed, path, self._open_trail(name))
        except FileNotFoundError:
            pass
        except Damaged as damage:
            self._spool.set_aside(path, self.lane, name, str(damage))
        except OSError as error:
            self._spool.report("claim_failed", path=path, reason=error.strerror)
            self._put_back(path, name)
        finally:
            if claim is None:
                self._held.discard(name)
        return claim

    def _open_trail(self, name: str) -> Trail:
        """The trail of `name`, read. A damaged one is set aside and counts as empty: its recipients may get a second
        copy, which is the smaller harm than none. Raises OSError for a shortage, which is no damage."""
        path = f"{self._trails}/{name}"
        trail = Trail(path)
        try:
            if trail.records is not None and trail.damaged:
                self._spool.report("trail_damaged", path=path, lines=trail.damaged)
        except OSError as error:
            if (reason := DAMAGE.get(error.errno or 0)) is None:
                raise
            self._spool.set_aside(path, self.lane, f"{name}.trail", reason)
            trail = Trail(path)
        return trail

    def release(self, claim: Claim) -> None:
        """Back to where it was, as if it had not been claimed. Raises OSError."""
        with self._settling(claim):
            os.rename(claim.path, f"{self._new}/{claim.name}")

    def postpone(self, claim: Claim, when: float) -> None:
        """Back to new/, to be tried at `when`. Raises OSError."""
        with self._settling(claim):
            self._set_due(claim, when)
            os.rename(claim.path, f"{self._new}/{claim.name}")

    def retire(self, claim: Claim) -> None:
        """It is done: the entry goes, then its trail. Raises OSError."""
        with self._settling(claim):
            os.unlink(claim.path)
            if claim.trail.exists:
                claim.trail.remove()

    def move(self, claim: Claim, lane: Lane, when: float) -> None:
        """To another lane, with its trail, to be tried there at `when`. Raises OSError."""
        if lane is self.lane:
            self.postpone(claim, when)
            return
        folder = str(self._spool.folder(lane))
        name = name_in_lane(claim.name, self.lane, lane)
        with self._settling(claim):
            self._set_due(claim, when)
            if claim.trail.exists:
                claim.trail.copy(f"{folder}/tmp/{name}.trail", f"{folder}/trail/{name}")
            os.rename(claim.path, f"{folder}/new/{name}")
            if claim.trail.exists:
                claim.trail.remove()

    def foretell(self, lane: Lane, name: str, records: Sequence[TrailRecord]) -> None:
        """The trail of an entry that is about to be split off as `name` in `lane`: what its recipients have behind
        them. Durable when this returns. Raises OSError."""
        folder = str(self._spool.folder(lane))
        write_whole(f"{folder}/tmp/{name}.trail", f"{folder}/trail/{name}", render_trail(records))

    def rename(self, claim: Claim, name: str) -> None:
        """Back to new/ under another name of the same entry, with its trail. Raises OSError."""
        if name == claim.name:
            self.release(claim)
            return
        with self._settling(claim):
            if claim.trail.exists:
                claim.trail.copy(f"{self._tmp}/{name}.trail", f"{self._trails}/{name}")
            os.rename(claim.path, f"{self._new}/{name}")
            if claim.trail.exists:
                claim.trail.remove()

    def _set_due(self, claim: Claim, when: float) -> None:
        try:
            os.utime(claim.path, (when, when))
        except PermissionError:
            #  In a spool shared by several accounts it may be another's, and only the owner sets the time of a file.
            replace_by_copy(claim.path, f"{self._tmp}/{claim.name}.{self._owner.id}", when)

    def _settling(self, claim: Claim) -> _Settling:
        return _Settling(self, claim)

    def let_go(self, claim: Claim, is_lost: bool) -> None:
        """It is no longer ours. `is_lost`: we were taken for dead, and entry and trail are the adopter's now."""
        if is_lost:
            self._spool.report("claim_lost", path=claim.path)
        self._held.discard(claim.name)

    def adopt(self) -> int:
        """Give entries of dead owners, and of nobody, back to new/; how many. Raises OSError."""
        alive: dict[str, bool] = {}
        adopted = 0
        self._owner.watch()
        for entry in listed(self._cur):
            name, owner = split_claimed(entry.name)
            if parse_name(name) is None:
                self._spool.set_aside(entry.path, self.lane, entry.name, "its name is not that of an entry")
            elif owner == self._owner.id:
                adopted += name not in self._held and self._put_back(entry.path, name)
            else:
                if owner not in alive:
                    alive[owner] = bool(owner) and self._owner.is_alive(owner)
                adopted += not alive[owner] and self._put_back(entry.path, name)
        if adopted:
            self._spool.report("entries_adopted", lane=self.lane.word, count=adopted)
        return adopted

    def _put_back(self, path: str, name: str) -> bool:
        try:
            os.rename(path, f"{self._new}/{name}")
        except OSError:
            return False  #  Another process was quicker, or the disk is in trouble: the next round will see.
        return True

    def sweep(self, now: float) -> int:
        """Remove what crashes have left behind, once it is so old that nobody can be at it; how many files."""
        return sweep_lane(self._spool, self.lane, now, self._suspects) + self._owner.sweep()


@dataclass(slots=True)
class _Settling:
    """Around the last step of a claim. After an error of the disk it is still ours, and the caller may try again."""

    folder: LaneFolder
    claim: Claim

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        is_lost = kind is FileNotFoundError
        if kind is None or is_lost:
            self.folder.let_go(self.claim, is_lost)
        return is_lost
