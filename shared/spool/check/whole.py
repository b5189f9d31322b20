"""The whole spool, part by part, in an order in which each finds what the one before it has mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from shared.routing.lane import Lane
from shared.spool.check.around import check_corrupt, check_folders, check_ids, check_owners, check_root
from shared.spool.check.doubles import check_doubles
from shared.spool.check.entries import check_claimed, check_waiting
from shared.spool.check.leftovers import check_strangers, check_tmp, check_trails
from shared.spool.check.mender import Finding, Mender

_OF_A_LANE = (check_strangers, check_claimed, check_waiting, check_tmp, check_trails)


def check_spool(mender: Mender) -> Iterator[Finding]:
    """Everything that is wrong, and what was done about it. Never raises OSError: a folder that cannot be read is a
    finding."""
    yield from _safely(mender, str(mender.spool.root), partial(check_folders, mender))
    if mender.is_repairing:
        #  What is mended under a claim needs a living owner; until now there may have been no place for heartbeats.
        mender.owner.beat()
    yield from _safely(mender, str(mender.spool.root), partial(check_root, mender))
    yield from _safely(mender, str(mender.spool.owners), partial(check_owners, mender))
    for lane in Lane:
        for part in _OF_A_LANE:
            yield from _safely(mender, str(mender.spool.folder(lane)), partial(part, mender, lane))
    yield from _safely(mender, str(mender.spool.root), partial(check_doubles, mender))
    yield from _safely(mender, str(mender.spool.root), partial(check_ids, mender))
    yield from _safely(mender, str(mender.spool.corrupt), partial(check_corrupt, mender))


def _safely(mender: Mender, path: str, part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from part()
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        #  What is missing has been told with the folders, when nothing was to be repaired.
        if not isinstance(error, FileNotFoundError):
            yield mender.find(where, f"cannot be looked at: {error.strerror or error}")
