"""What the runner relies on in a lane: the folder on disk and the fake in memory are both held to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.lanes import FakeLane, FakeOwner, FakeSpool
from fakes.spools import MESSAGE, NOW, TestSpool

from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.lane import Lane
from shared.spool.trail import TrailRecord

B, C = (Recipient(parse_address(text)) for text in ("berta@partner.example", "carl@partner.example"))
DUE = NOW + 1000


class Real:
    def __init__(self, root: Path) -> None:
        self._site = TestSpool(root)
        self.owner = self._site.owner
        self.lane = self._site.lane(Lane.RELAY)
        self.other = self._site.lane(Lane.DIRECT)

    def put(self, envelope: Envelope) -> str:
        return self._site.deposit(envelope)

    def dead_owner(self) -> Any:
        owner = self._site.new_owner("mercury-dead")
        owner.begin()
        return self._site.lane(Lane.RELAY, owner), owner


class Fake:
    def __init__(self, root: Path) -> None:
        self._spool = FakeSpool(lambda: NOW)
        self.owner = FakeOwner()
        self.lane = FakeLane(self._spool, Lane.RELAY, self.owner)
        self.other = FakeLane(self._spool, Lane.DIRECT, self.owner)

    def put(self, envelope: Envelope) -> str:
        return self._spool.put(Lane.RELAY, envelope, MESSAGE)

    def dead_owner(self) -> Any:
        owner = FakeOwner("owner.dead")
        self.owner.living.add(owner.id)
        owner.living = self.owner.living
        return FakeLane(self._spool, Lane.RELAY, owner), owner


@pytest.fixture(params=[Real, Fake])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: Callable[[Path], Any] = request.param
    return make(tmp_path)


def letter(*recipients: Recipient) -> Envelope:
    return Envelope("0T3H-7K2V", parse_address("anna@hq.example"), recipients or (B,), NOW)


def test_what_was_put_is_found_and_claimed_once(site: Any) -> None:
    name = site.put(letter())
    assert [found for found, _ in site.lane.scan()] == [name]
    claim = site.lane.claim(name)
    assert (claim.name, claim.envelope) == (name, letter())
    assert b"".join(claim.content.chunks()) == MESSAGE
    assert claim.content.head() == MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
    assert (claim.unfinished, claim.attempts) == ((B,), 0)
    assert site.lane.claim(name) is None
    assert list(site.lane.scan()) == []


def test_a_name_that_is_not_there_gives_no_claim(site: Any) -> None:
    assert site.lane.claim("1790000000.0T3H-7K2V.node.test,S=10") is None


def test_postponed_it_waits_until_then(site: Any) -> None:
    name = site.put(letter())
    site.lane.postpone(site.lane.claim(name), DUE)
    assert list(site.lane.scan()) == [(name, DUE)]
    assert site.lane.claim(name).due == DUE


def test_released_it_is_due_as_before(site: Any) -> None:
    name = site.put(letter())
    site.lane.postpone(site.lane.claim(name), DUE)
    site.lane.release(site.lane.claim(name))
    assert list(site.lane.scan()) == [(name, DUE)]


def test_retired_it_is_gone(site: Any) -> None:
    name = site.put(letter())
    claim = site.lane.claim(name)
    claim.trail.append([TrailRecord(NOW, "t", "delivered", str(B.address))], True)
    site.lane.retire(claim)
    assert list(site.lane.scan()) == []
    assert site.lane.claim(name) is None
    assert site.lane.adopt() == 0


def test_the_trail_says_who_is_done_and_how_often_it_was_tried(site: Any) -> None:
    name = site.put(letter(B, C))
    claim = site.lane.claim(name)
    first = [TrailRecord(NOW, "t", "deferred", str(who.address), "451 4.0.0 later", "mx") for who in (B, C)]
    claim.trail.append(first, False)
    claim.trail.append([TrailRecord(NOW, "t", "delivered", str(B.address))], True)
    site.lane.postpone(claim, DUE)
    again = site.lane.claim(name)
    assert again.unfinished == (C,)
    assert again.attempts == 1
    assert [record.event for record in again.trail.records] == ["deferred", "deferred", "delivered"]


@pytest.mark.parametrize("event", ["failed", "warned", "deferred"])
def test_nobody_is_done_by_these_alone(site: Any, event: str) -> None:
    name = site.put(letter())
    claim = site.lane.claim(name)
    claim.trail.append([TrailRecord(NOW, "t", event, str(B.address))], True)
    assert claim.unfinished == (B,)


@pytest.mark.parametrize("event", ["delivered", "bounced", "moved", "discarded"])
def test_by_each_of_these_he_is(site: Any, event: str) -> None:
    name = site.put(letter())
    claim = site.lane.claim(name)
    claim.trail.append([TrailRecord(NOW, "t", event, str(B.address))], True)
    assert claim.unfinished == ()


def test_moved_it_is_in_the_other_lane_with_its_trail(site: Any) -> None:
    claim = site.lane.claim(site.put(letter(B, C)))
    claim.trail.append([TrailRecord(NOW, "t", "delivered", str(B.address))], True)
    site.lane.move(claim, Lane.DIRECT, DUE)
    assert list(site.lane.scan()) == []
    [(name, due)] = site.other.scan()
    assert due == DUE
    there = site.other.claim(name)
    assert there.envelope == letter(B, C)
    assert there.unfinished == (C,)


def test_what_a_dead_owner_held_comes_back_and_what_a_living_one_holds_does_not(site: Any) -> None:
    name = site.put(letter())
    lane, owner = site.dead_owner()
    assert lane.claim(name) is not None
    assert site.lane.adopt() == 0
    owner.end()
    assert site.lane.adopt() == 1
    assert site.lane.claim(name) is not None
    assert site.lane.adopt() == 0
