"""A lane: who claims an entry has it alone, and every way to settle it leads where docs/spool.md says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fakes.spools import MESSAGE, NOW, TestSpool
from fakes.syscalls import failing, spied

from shared.routing.lane import Lane
from shared.spool.lane import LaneFolder
from shared.spool.record import render_record
from shared.spool.trail import TrailRecord

SETTLED = TrailRecord(NOW, "mercury-t", "delivered", "berta@partner.example")
TRIED = TrailRecord(NOW, "mercury-t", "deferred", "berta@partner.example")


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


@pytest.fixture
def lane(place: TestSpool) -> LaneFolder:
    return place.lane()


def set_due(place: TestSpool, name: str, due: float) -> None:
    os.utime(place.spool.folder(Lane.RELAY) / "new" / name, (due, due))


def due(place: TestSpool, lane: Lane = Lane.RELAY) -> list[float]:
    return [due for _, due in place.lane(lane).scan()]


# Claims.


def test_a_scan_gives_names_and_times(place: TestSpool, lane: LaneFolder) -> None:
    names = [place.deposit() for _ in range(3)]
    for number, name in enumerate(names):
        set_due(place, name, 100.0 + number)
    assert sorted(lane.scan()) == [(name, 100.0 + number) for number, name in enumerate(names)]
    assert lane.due(names[2]) == 102.0 and lane.due("nothing") is None


def test_a_claim_has_the_envelope_and_the_message(place: TestSpool, lane: LaneFolder) -> None:
    envelope = place.envelope("a@x.example", "b@x.example")
    name = place.deposit(envelope)
    set_due(place, name, 1234.0)
    claim = lane.claim(name)
    assert claim is not None
    assert (claim.name, claim.envelope, claim.due) == (name, envelope, 1234.0)
    assert (claim.unfinished, claim.attempts) == (envelope.recipients, 0)
    assert b"".join(claim.content.chunks()) == MESSAGE and claim.content.size == len(MESSAGE)
    assert place.names() == [] and place.names(part="cur") == [f"{name},N={place.owner.id}:2,"]


def test_of_two_claimants_one_wins(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    other = place.new_owner()
    other.begin()
    assert lane.claim(name) is not None
    assert place.lane(owner=other).claim(name) is None and lane.claim(name) is None
    assert place.events.seen == []


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 330_000, 5_000_000])
def test_messages_of_all_sizes(place: TestSpool, lane: LaneFolder, size: int) -> None:
    message = b"Subject: x\r\n\r\n" + bytes(range(256)) * (size // 256)
    claim = lane.claim(place.deposit(None, message))
    assert claim is not None and claim.content.size == len(message)
    assert b"".join(claim.content.chunks()) == b"".join(claim.content.chunks(1000)) == message
    assert claim.content.head() == b"Subject: x\r\n\r\n"


@pytest.mark.parametrize("size", [10, 400_000])
def test_a_record_longer_than_the_first_read(place: TestSpool, lane: LaneFolder, size: int) -> None:
    envelope = place.envelope(*(f"recipient-number-{number}@partner.example" for number in range(3000)))
    assert len(render_record(envelope)) > 64 * 1024
    claim = lane.claim(place.deposit(envelope, b"x" * size))
    assert claim is not None and claim.envelope == envelope and b"".join(claim.content.chunks()) == b"x" * size


def test_an_entry_of_a_mailbox_reader_is_read_by_pythons(place: TestSpool) -> None:
    import mailbox

    place.deposit()
    (message,) = mailbox.Maildir(place.spool.folder(Lane.RELAY), create=False)
    assert message["Mercury-To"] == "berta@partner.example" and message["Subject"] == "hello"


# Settling.


def test_a_released_entry_is_as_before(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    set_due(place, name, 77.0)
    claim = lane.claim(name)
    assert claim is not None
    lane.release(claim)
    assert list(lane.scan()) == [(name, 77.0)] and lane.claim(name) is not None


def test_a_postponed_entry_waits_until_then(place: TestSpool, lane: LaneFolder) -> None:
    claim = lane.claim(place.deposit())
    assert claim is not None
    claim.trail.append([TRIED], durable=False)
    assert claim.attempts == 1
    lane.postpone(claim, 5e9 + 0.5)
    assert list(lane.scan()) == [(claim.name, 5e9 + 0.5)]
    again = lane.claim(claim.name)
    assert again is not None and again.attempts == 1 and len(again.unfinished) == 1


def test_a_retired_entry_is_gone_with_its_trail(place: TestSpool, lane: LaneFolder) -> None:
    for tried in (False, True):
        claim = lane.claim(place.deposit())
        assert claim is not None
        if tried:
            claim.trail.append([TRIED, SETTLED], durable=True)
            assert claim.unfinished == ()
        lane.retire(claim)
        assert place.files() == []


def test_a_moved_entry_takes_its_trail_along(place: TestSpool, lane: LaneFolder) -> None:
    claim = lane.claim(place.deposit())
    assert claim is not None
    claim.trail.append([TRIED], durable=True)
    lane.move(claim, Lane.DIRECT, 99.0)
    there = f"{claim.name},L=relay"
    assert place.files() == [f".direct/new/{there}", f".direct/trail/{there}"]
    moved = place.lane(Lane.DIRECT).claim(there)
    assert moved is not None and moved.attempts == 1 and moved.due == 99.0


def test_moving_to_its_own_lane_is_postponing(place: TestSpool, lane: LaneFolder) -> None:
    claim = lane.claim(place.deposit())
    assert claim is not None
    lane.move(claim, Lane.RELAY, 42.0)
    assert list(lane.scan()) == [(claim.name, 42.0)]


def test_entries_of_one_message_that_meet_in_a_lane_both_stay(place: TestSpool, lane: LaneFolder) -> None:
    """A message in two lanes, both of the same length; then the site's word changes."""
    name = place.deposit(None, MESSAGE, Lane.RELAY, Lane.DIRECT)
    claim = lane.claim(name)
    assert claim is not None
    lane.move(claim, Lane.DIRECT, NOW)
    direct = place.lane(Lane.DIRECT)
    claims = [direct.claim(found) for found, _ in list(direct.scan())]
    assert len(claims) == 2
    for each in claims:
        assert each is not None
        direct.move(each, Lane.HOLD, NOW)
    assert len(place.names(Lane.HOLD)) == 2


@pytest.mark.parametrize("way", ["release", "postpone", "retire", "move"])
def test_who_was_taken_for_dead_leaves_entry_and_trail_to_the_adopter(
    place: TestSpool, lane: LaneFolder, way: str
) -> None:
    claim = lane.claim(place.deposit())
    assert claim is not None
    claim.trail.append([TRIED], durable=True)
    place.owner.end()
    other = place.new_owner()
    other.begin()
    assert place.lane(owner=other).adopt() == 1
    before = place.files()
    settle = {
        "release": lambda: lane.release(claim),
        "postpone": lambda: lane.postpone(claim, 1.0),
        "retire": lambda: lane.retire(claim),
        "move": lambda: lane.move(claim, Lane.HOLD, 1.0),
    }
    settle[way]()
    assert [path for path in place.files() if path in before] == before
    assert place.events.names == ["entries_adopted", "claim_lost"]
    adopted = place.lane(owner=other).claim(claim.name)
    assert adopted is not None and adopted.attempts == 1


@pytest.mark.parametrize("way", ["release", "postpone", "retire", "move"])
def test_after_an_error_of_the_disk_the_claim_is_still_ours_and_can_be_settled(
    place: TestSpool, lane: LaneFolder, way: str
) -> None:
    settle = {
        "release": lambda claim: lane.release(claim),
        "postpone": lambda claim: lane.postpone(claim, 1.0),
        "retire": lambda claim: lane.retire(claim),
        "move": lambda claim: lane.move(claim, Lane.HOLD, 1.0),
    }[way]
    for at in range(1, 20):
        claim = lane.claim(place.deposit())
        assert claim is not None
        claim.trail.append([TRIED], durable=False)
        with spied(at, failing(errno.EIO)) as calls:
            try:
                settle(claim)
                if len(calls.made) < at:
                    break
            except OSError:
                assert lane.adopt() == 0, "it is still ours"
                settle(claim)
    assert 1 < at < 20
    assert place.names(part="cur") == []
    assert "claim_lost" not in place.events.names


# Adoption.


def test_entries_of_the_dead_go_back_with_their_time(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    set_due(place, name, 55.0)
    dead = place.new_owner()
    dead.begin()
    assert place.lane(owner=dead).claim(name) is not None
    assert lane.adopt() == 0
    os.close(dead._descriptor)
    assert lane.adopt() == 1 and list(lane.scan()) == [(name, 55.0)]
    assert place.events.seen == [("entries_adopted", {"lane": "relay", "count": 1})]


def test_our_own_claims_are_not_adopted_but_what_went_astray_is(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    claim = lane.claim(name)
    assert claim is not None and lane.adopt() == 0
    os.rename(claim.path, claim.path + "S")  #  A mail reader has marked it as seen.
    assert lane.adopt() == 0
    lane.retire(claim)
    assert lane.adopt() == 1 and place.names() == [name]


@pytest.mark.parametrize("flags", ["", ":2,", ":2,RS"])
def test_what_a_mail_reader_moved_to_cur_comes_back(place: TestSpool, lane: LaneFolder, flags: str) -> None:
    name = place.deposit()
    folder = place.spool.folder(Lane.RELAY)
    os.rename(folder / "new" / name, folder / "cur" / (name + flags))
    assert lane.adopt() == 1 and lane.claim(name) is not None


def test_a_foreign_file_in_cur_is_set_aside(place: TestSpool, lane: LaneFolder) -> None:
    (place.spool.folder(Lane.RELAY) / "cur" / "notes.txt").write_text("x")
    assert lane.adopt() == 0
    assert place.files() == ["corrupt/relay.notes.txt"]


# Sweep.

OLD = 36 * 3600 + 1


def age(path: Path, seconds: float) -> None:
    os.utime(path, (NOW - seconds, NOW - seconds), follow_symlinks=False)


def test_leftovers_in_tmp_are_swept_when_nobody_can_be_at_them(place: TestSpool, lane: LaneFolder) -> None:
    tmp = place.spool.folder(Lane.RELAY) / "tmp"
    for name, seconds in (("old", OLD), ("young", OLD - 10)):
        (tmp / name).write_text("half a mess")
        age(tmp / name, seconds)
    assert lane.sweep(NOW) == 1
    assert place.names(part="tmp") == ["young"] and place.events.names == ["leftover_swept"]


def test_a_trail_without_an_entry_is_swept_and_one_with_an_entry_never(place: TestSpool, lane: LaneFolder) -> None:
    waiting, claimed, gone, fresh = (place.deposit() for _ in range(4))
    trails = place.spool.folder(Lane.RELAY) / "trail"
    for name in (waiting, claimed, gone, fresh):
        claim = lane.claim(name)
        assert claim is not None
        claim.trail.append([TRIED], durable=False)
        age(trails / name, 100 * OLD)
        if name in (gone, fresh):
            os.unlink(claim.path)
        elif name == waiting:
            lane.release(claim)
    age(trails / fresh, 10)
    assert lane.sweep(NOW) == 0, "one look proves nothing on a shared file system"
    assert lane.sweep(NOW) == 1
    assert place.names(part="trail") == sorted([waiting, claimed, fresh])


def test_the_trail_of_an_entry_that_is_hidden_for_half_a_minute_stays(
    place: TestSpool, lane: LaneFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared file system remembers what it did not find, and a listing of it may miss what is there."""
    name = place.deposit()
    claim = lane.claim(name)
    assert claim is not None
    claim.trail.append([TRIED], durable=False)
    lane.release(claim)
    age(place.spool.folder(Lane.RELAY) / "trail" / name, OLD)
    with monkeypatch.context() as hidden:
        hidden.setattr(os.path, "lexists", lambda path: False)
        assert lane.sweep(NOW) == 0
    assert lane.sweep(NOW) == 0
    with monkeypatch.context() as hidden:
        hidden.setattr(os.path, "lexists", lambda path: False)
        assert lane.sweep(NOW) == 0
    assert place.names(part="trail") == [name]


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENOENT])
@pytest.mark.parametrize("call", ["rename", "open", "fstat", "read"])
def test_what_a_shared_file_system_answers_is_no_damage(
    place: TestSpool, lane: LaneFolder, call: str, number: int
) -> None:
    """An outage, or a name that is hidden: the entry is not set aside, and is met again."""
    name = place.deposit()
    with spied(1, failing(number), (call,)):
        claim = lane.claim(name)
    if claim is not None:
        assert (call, number) == ("open", errno.ENOENT), "it has no trail, which is no wonder"
        lane.release(claim)
    lane.adopt()
    assert place.names() == [name] and "entry_set_aside" not in place.events.names
    claim = lane.claim(name)
    assert claim is not None
    lane.retire(claim)
    assert place.files() == []


@pytest.mark.parametrize("settle", ["release", "postpone", "retire"])
def test_a_hidden_name_at_the_end_of_an_attempt_costs_a_copy_and_no_mail(
    place: TestSpool, lane: LaneFolder, settle: str
) -> None:
    name = place.deposit()
    claim = lane.claim(name)
    assert claim is not None
    steps = {
        "release": lambda: lane.release(claim),
        "postpone": lambda: lane.postpone(claim, NOW),
        "retire": lambda: lane.retire(claim),
    }
    with spied(1, failing(errno.ENOENT), ("rename", "unlink")):
        steps[settle]()
    assert place.events.names == ["claim_lost"]
    assert lane.adopt() == 1 and place.names() == [name]


def test_a_scan_goes_on_where_a_name_is_listed_and_hidden(place: TestSpool, lane: LaneFolder) -> None:
    names = sorted(place.deposit() for _ in range(3))
    with spied(2, failing(errno.ENOENT), ("lstat",)):
        assert len([name for name, _ in lane.scan()]) == 2
    assert sorted(name for name, _ in lane.scan()) == names


def test_what_is_no_file_is_not_removed_but_set_aside(place: TestSpool, lane: LaneFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    folder = place.spool.folder(Lane.RELAY)
    (folder / "tmp" / "link").symlink_to(tmp_path / "precious")
    os.mkfifo(folder / "trail" / "pipe")
    (folder / "tmp" / "folder").mkdir()
    for path in ("tmp/link", "trail/pipe", "tmp/folder"):
        age(folder / path, OLD)
    assert lane.sweep(NOW) == lane.sweep(NOW) == 0
    assert sorted(path.name for path in place.spool.corrupt.iterdir()) == ["relay.folder", "relay.link", "relay.pipe"]
    assert (tmp_path / "precious").read_text() == "x"


def test_the_sweep_goes_on_when_something_cannot_be_removed(place: TestSpool, lane: LaneFolder) -> None:
    tmp = place.spool.folder(Lane.RELAY) / "tmp"
    for name in ("a", "b"):
        (tmp / name).write_text("")
        age(tmp / name, OLD)
    with spied(1, failing(errno.EACCES), ("unlink",)):
        assert lane.sweep(NOW) == 1
    assert lane.sweep(NOW) == 1


# Trouble that is nobody's damage.


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENOTCONN])
def test_shortage_is_not_damage(place: TestSpool, lane: LaneFolder, number: int) -> None:
    """Neither of the entry nor of its trail: nobody who is settled may be tried again for want of a descriptor."""
    name = place.deposit()
    claim = lane.claim(name)
    assert claim is not None
    claim.trail.append([SETTLED], durable=False)
    lane.release(claim)
    for at in range(1, 4):
        with spied(at, failing(number), ("open", "fstat")):
            assert lane.claim(name) is None
        assert place.names() == [name]
    assert set(place.events.names) == {"claim_failed"}
    claim = lane.claim(name)
    assert claim is not None and claim.unfinished == ()


def test_a_lane_that_cannot_be_written_gives_no_claim_and_says_so(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    with spied(1, failing(errno.EROFS), ("rename",)):
        assert lane.claim(name) is None
    assert place.events.names == ["claim_failed"] and place.names() == [name]


def test_a_trail_that_cannot_be_read_is_set_aside_and_the_entry_is_tried(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    (place.spool.folder(Lane.RELAY) / "trail" / name).mkdir()
    claim = lane.claim(name)
    assert claim is not None and len(claim.unfinished) == 1
    assert (
        f"corrupt/relay.{name}.trail" not in place.files() and (place.spool.corrupt / f"relay.{name}.trail").is_dir()
    )
    assert "no regular file" in place.events.reason()


def test_a_damaged_trail_is_reported(place: TestSpool, lane: LaneFolder) -> None:
    name = place.deposit()
    (place.spool.folder(Lane.RELAY) / "trail" / name).write_text("nonsense\n")
    assert lane.claim(name) is not None
    assert place.events.names == ["trail_damaged"]
