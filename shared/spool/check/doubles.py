"""Entries that stand in the spool twice: the same message, still to go to the same people.

One message has an entry in each lane it needs, and more when it was split: these share an id and differ in their
recipients. Doubled is what has the same id, the same bytes, and nobody to reach whom the other does not reach too;
it would be delivered twice. A power cut or a copy by hand makes such. Trash is not looked at: nothing leaves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from shared.routing.lane import Lane
from shared.spool.check.mender import Finding, Mender
from shared.spool.claim import Claim, Damaged, open_claim
from shared.spool.names import parse_name
from shared.spool.trail import Trail

LANES = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT, Lane.HOLD)


class _Place(NamedTuple):
    lane: Lane
    name: str
    path: str


def check_doubles(mender: Mender) -> Iterator[Finding]:
    counts: Counter[str] = Counter()
    for lane in LANES:
        for item in mender.look_into(f"{mender.spool.folder(lane)}/new"):
            if parsed := parse_name(item.name):
                counts[parsed.id] += 1
    doubled = {id for id, count in counts.items() if count > 1}
    if not doubled:
        return
    places: dict[str, list[_Place]] = {}
    for lane in LANES:
        for item in mender.look_into(f"{mender.spool.folder(lane)}/new"):
            parsed = parse_name(item.name)
            if parsed and parsed.id in doubled:
                places.setdefault(parsed.id, []).append(_Place(lane, item.name, item.path))
    for some in places.values():
        yield from _check_one(mender, some)


def _check_one(mender: Mender, places: list[_Place]) -> Iterator[Finding]:
    """The one with the most settled recipients stays: its trail knows more."""
    claims = [(place, claim) for place in places if (claim := _look(mender, place))]
    claims.sort(key=lambda pair: (len(pair[1].trail.settled()), pair[1].attempts), reverse=True)
    kept: list[tuple[_Place, Claim]] = []
    for place, claim in claims:
        twin = next((other for other, its in kept if _is_double(its, claim)), None)
        if twin is None:
            kept.append((place, claim))
        else:
            wrong = f"the same message to the same people as {mender.below(twin.path)}"
            #  Under a name by which it is not taken for one that could come back (around.check_corrupt).
            yield mender.set_aside(place.path, wrong)


def _look(mender: Mender, place: _Place) -> Claim | None:
    parsed = parse_name(place.name)
    if parsed is None:
        return None
    trail = Trail(f"{mender.spool.folder(place.lane)}/trail/{place.name}")
    try:
        claim = open_claim(place.name, parsed, place.path, trail)
        return claim if trail.records is not None else None
    except (Damaged, OSError):
        return None  #  Taken up meanwhile, or already told.


def _is_double(first: Claim, second: Claim) -> bool:
    """Whether whoever `second` is still to reach, `first` has reached or will reach with the same bytes."""
    reached = {str(one.address) for one in first.envelope.recipients}
    if not {str(one.address) for one in second.unfinished} <= reached:
        return False
    if first.content.size != second.content.size:
        return False
    try:
        return all(a == b for a, b in zip(first.content.chunks(), second.content.chunks(), strict=True))
    except (OSError, ValueError):
        return False
