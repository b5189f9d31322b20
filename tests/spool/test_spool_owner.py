"""Owners: alive as long as they hold their lock, or as long as their heart was seen to beat."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from fakes.spools import Events, TestSpool

from shared.spool.owner import BEAT_EVERY, LOOK_EVERY, STALE_AFTER, Owner
from shared.spool.spool import Spool


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def elsewhere(place: TestSpool) -> Owner:
    """An owner on another host that shares the spool."""
    return Owner(Spool(place.spool.root, "other.test", Events()), "mercury-c", lambda: place.now)


def watch(place: TestSpool, seconds: float) -> None:
    """As the rounds of a daemon do."""
    ends = place.now + seconds
    while place.now < ends:
        place.owner.watch()
        place.now += LOOK_EVERY


def test_an_owner_lives_from_begin_to_end(place: TestSpool) -> None:
    other = place.new_owner()
    assert not place.owner.is_alive(other.id)
    other.begin()
    assert place.owner.is_alive(other.id) and other.is_alive(other.id)
    other.beat()
    assert place.owner.is_alive(other.id)
    other.end()
    other.end()
    assert not place.owner.is_alive(other.id) and not other.is_alive(other.id)


def test_ids_differ_and_hold_nothing_that_names_cannot(place: TestSpool) -> None:
    ids = {place.new_owner().id for _ in range(20)}
    assert len(ids) == 20 and not any(set(id) & set(",:/ ") for id in ids)


def test_on_one_host_a_free_lock_is_death_at_once(place: TestSpool) -> None:
    other = place.new_owner()
    other.begin()
    os.close(other._descriptor)  #  What the kernel does when a process dies.
    assert not place.owner.is_alive(other.id)


def test_on_one_host_a_held_lock_is_life_however_long_the_heart_rests(place: TestSpool) -> None:
    """A process that was stopped still has its claims, and will go on with them."""
    other = place.new_owner()
    other.begin()
    assert place.owner.is_alive(other.id)
    place.now += 100 * STALE_AFTER
    assert place.owner.is_alive(other.id)


def test_on_another_host_a_heart_that_was_not_seen_to_beat_is_death_within_a_minute(place: TestSpool) -> None:
    other = elsewhere(place)
    other.begin()
    watch(place, STALE_AFTER)
    assert place.owner.is_alive(other.id)
    other.beat()
    watch(place, STALE_AFTER)
    assert place.owner.is_alive(other.id)
    watch(place, 2 * LOOK_EVERY)
    assert not place.owner.is_alive(other.id)
    assert STALE_AFTER + 2 * LOOK_EVERY < 60
    assert STALE_AFTER > 3 * BEAT_EVERY, "a beat may be late"


def test_who_could_not_look_has_not_watched(place: TestSpool) -> None:
    """The shared file system hung for all of us: the other could not beat, and we could not see it."""
    other = elsewhere(place)
    other.begin()
    watch(place, 3 * LOOK_EVERY)
    place.now += 45
    assert place.owner.is_alive(other.id)
    watch(place, STALE_AFTER - LOOK_EVERY)
    assert place.owner.is_alive(other.id)
    watch(place, 3 * LOOK_EVERY)
    assert not place.owner.is_alive(other.id)


def test_a_heartbeat_of_another_host_that_is_hidden_from_us_is_no_death_yet(place: TestSpool) -> None:
    """Shared file systems remember for up to 30 s that a name was not there."""
    other = elsewhere(place)
    for _ in range(int(30 / LOOK_EVERY)):
        assert place.owner.is_alive(other.id)
        place.now += LOOK_EVERY
    other.begin()
    assert place.owner.is_alive(other.id)


def test_who_has_no_heartbeat_for_that_long_has_none(place: TestSpool) -> None:
    other = elsewhere(place)
    looks = [place.owner.is_alive(other.id)]
    while looks[-1]:
        place.now += LOOK_EVERY
        looks.append(place.owner.is_alive(other.id))
    assert STALE_AFTER < len(looks) * LOOK_EVERY < 60


def test_another_hosts_clock_does_not_matter(place: TestSpool) -> None:
    for stamp in (0, 4e9):
        other = elsewhere(place)
        other.begin()
        os.utime(place.spool.owners / other.id, (stamp, stamp))
        assert place.owner.is_alive(other.id)


def test_the_dead_are_swept_and_the_living_are_not(place: TestSpool) -> None:
    living, dead, far = place.new_owner(), place.new_owner(), elsewhere(place)
    for owner in (living, dead, far):
        owner.begin()
    os.close(dead._descriptor)
    assert place.owner.sweep() == 1
    assert {path.name for path in place.spool.owners.iterdir()} == {place.owner.id, living.id, far.id}
    watch(place, STALE_AFTER + 2 * LOOK_EVERY)
    assert place.owner.sweep() == 1
    assert place.events.names.count("leftover_swept") == 2


def test_who_was_swept_by_mistake_begins_again_at_the_next_beat(place: TestSpool) -> None:
    """A host that was cut off for a minute is taken for dead, and comes back."""
    other = elsewhere(place)
    other.begin()
    (place.spool.owners / other.id).unlink()
    assert not (place.spool.owners / other.id).exists()
    other.beat()
    assert (place.spool.owners / other.id).exists() and place.owner.is_alive(other.id)


def test_a_sweep_between_open_and_lock_is_noticed(place: TestSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place.new_owner()
    real = fcntl.flock
    swept: list[int] = []

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not swept:
            swept.append(1)
            assert place.owner.sweep() == 1
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    other.begin()
    assert swept and place.owner.is_alive(other.id)


@pytest.mark.parametrize("owner", ["..", ".", "nobody", "x.1.2.node.test", "a" * 300])
def test_ids_that_were_never_ours_do_no_harm(place: TestSpool, owner: str) -> None:
    assert place.owner.is_alive(owner) in (True, False)
    assert place.spool.owners.is_dir()


def test_a_link_among_the_heartbeats_is_not_followed(place: TestSpool, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    (place.spool.owners / "link.1.2.node.test").symlink_to(tmp_path / "precious")
    place.owner.sweep()
    assert (tmp_path / "precious").read_text() == "x"
