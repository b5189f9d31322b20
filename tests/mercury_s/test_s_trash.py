"""The trash empties itself, and only of what has been in it for as long as the configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.spools import TestSpool

from mercury_s.trash import Trash
from shared.routing.lane import Lane

DAY = 86400.0
REMOVED = 1790000000.0


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def remove(place: TestSpool, at: float) -> str:
    """As `mercury queue remove` does."""
    name, before = place.deposit(), set(place.names(Lane.TRASH))
    lane = place.lane()
    claim = lane.claim(name)
    assert claim is not None
    lane.move(claim, Lane.TRASH, at)
    (found,) = set(place.names(Lane.TRASH)) - before
    return found


def test_what_was_removed_long_ago_goes_for_good_and_the_rest_stays(place: TestSpool) -> None:
    now = [REMOVED + 15 * DAY]
    old, young = remove(place, REMOVED), remove(place, REMOVED + 2 * DAY)
    trash = Trash(place.lane(Lane.TRASH), lambda: 14 * DAY, lambda: now[0])
    assert (trash.look(), trash.look(), trash.look()) == (0, 1, 0)
    assert place.names(Lane.TRASH) == [young] != [old]
    now[0] += 1.5 * DAY
    assert (trash.look(), trash.look()) == (0, 1)
    assert place.files() == []


def test_a_clock_that_jumps_ahead_and_is_put_right_takes_nothing(place: TestSpool) -> None:
    now = [REMOVED]
    name = remove(place, REMOVED)
    trash = Trash(place.lane(Lane.TRASH), lambda: 14 * DAY, lambda: now[0])
    for moment in (3650 * DAY, DAY, 3650 * DAY, DAY):
        now[0] = REMOVED + moment
        assert trash.look() == 0
    assert place.names(Lane.TRASH) == [name]


def test_what_was_brought_back_in_between_is_not_there(place: TestSpool) -> None:
    name = remove(place, REMOVED)
    lane = place.lane(Lane.TRASH)
    trash = Trash(lane, lambda: 14 * DAY, lambda: REMOVED + 20 * DAY)
    trash.look()
    claim = lane.claim(name)
    assert claim is not None
    lane.move(claim, Lane.RELAY, REMOVED)
    assert trash.look() == 0 and len(place.names()) == 1


def test_a_reload_changes_how_long(place: TestSpool) -> None:
    keep = [14 * DAY]
    remove(place, REMOVED)
    trash = Trash(place.lane(Lane.TRASH), lambda: keep[0], lambda: REMOVED + DAY)
    assert (trash.look(), trash.look()) == (0, 0)
    keep[0] = DAY / 2
    assert (trash.look(), trash.look()) == (0, 1)
