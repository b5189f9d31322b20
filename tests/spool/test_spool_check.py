"""Every kind of damage, in every folder of the spool: found, told, mended, and the rest of the mail untouched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.spools import NOW, TestSpool

from shared.routing.lane import Lane
from shared.spool.check.mender import Finding, Mender
from shared.spool.check.whole import check_spool
from shared.spool.ids import QueueIds
from shared.spool.sweep import LEFTOVER_AFTER
from shared.spool.trail import Trail, TrailRecord

LATE = NOW + 10 * LEFTOVER_AFTER
Damage = Callable[[TestSpool, Path], None]


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def look(place: TestSpool, repair: bool = True, now: float = LATE, after: float = LEFTOVER_AFTER) -> list[Finding]:
    return list(check_spool(Mender(place.spool, place.owner, repair, now, after)))


def entry(place: TestSpool, lane: Lane = Lane.RELAY) -> Path:
    return place.spool.folder(lane) / "new" / place.deposit(None, b"Subject: x\r\n\r\nhello\r\n", lane)


def test_a_sound_spool_has_nothing_wrong(place: TestSpool) -> None:
    for lane in Lane:
        entry(place, lane)
    claim = place.lane().claim(entry(place).name)
    assert claim is not None
    claim.trail.append([TrailRecord(NOW, "t", "deferred", "a@x.example")], durable=False)
    before = place.files()
    assert look(place) == []
    assert place.files() == before


def truncate(place: TestSpool, path: Path) -> None:
    os.truncate(path, 30)


def empty(place: TestSpool, path: Path) -> None:
    os.truncate(path, 0)


def corrupt(place: TestSpool, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"arrived", b"arrivxd", 1))


def grow(place: TestSpool, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def foreign(place: TestSpool, path: Path) -> None:
    path.rename(path.with_name("README.txt"))


def link(place: TestSpool, path: Path) -> None:
    secret = place.spool.root.parent / "secret"
    path.rename(secret)
    path.symlink_to(secret)


def pipe(place: TestSpool, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(place: TestSpool, path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(place: TestSpool, path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/place")


DAMAGES: list[Damage] = [truncate, empty, corrupt, grow, foreign, link, pipe, folder, dangling]


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_entry_is_set_aside_and_the_others_stay(place: TestSpool, damage: Damage, lane: Lane) -> None:
    good = entry(place, lane)
    bad = entry(place, lane)
    damage(place, bad)
    (only_told,) = look(place, repair=False)
    assert only_told.done == "" and list(place.spool.corrupt.iterdir()) == []
    (mended,) = look(place)
    assert mended.wrong == only_told.wrong and "set aside" in mended.done
    assert [path.name for path in (place.spool.folder(lane) / "new").iterdir()] == [good.name]
    assert len(list(place.spool.corrupt.iterdir())) == 1
    assert look(place) == []
    outside = place.spool.root.parent / "secret"
    assert damage is not link or outside.read_bytes().endswith(b"hello\r\n")


@pytest.mark.parametrize("part", ["tmp", "trail", "cur", "."])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "file"])
def test_strangers_in_the_other_folders(place: TestSpool, part: str, kind: str) -> None:
    stranger = place.spool.folder(Lane.DIRECT) / part / "stranger"
    if kind == "link":
        stranger.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(stranger)
    elif kind == "folder":
        stranger.mkdir()
    else:
        stranger.write_text("hello")
        os.utime(stranger, (NOW, NOW))
    (finding,) = look(place)
    assert finding.done and not os.path.lexists(stranger)
    assert look(place) == []


@pytest.mark.parametrize("kind", ["link", "fifo", "file"])
def test_strangers_at_the_root_and_among_the_owners(place: TestSpool, kind: str) -> None:
    for folder in (place.spool.root, place.spool.owners):
        if kind == "link":
            (folder / "stranger").symlink_to("/etc")
        elif kind == "fifo":
            os.mkfifo(folder / "stranger")
        else:
            (folder / "stranger").write_text("")
    assert len(look(place)) == 2 and look(place) == []
    assert (Path("/etc") / "passwd").exists()


def test_entries_of_the_dead_go_back_and_those_of_the_living_stay(place: TestSpool) -> None:
    dead, alive = place.new_owner(), place.new_owner("mercury-c")
    dead.begin()
    alive.begin()
    for owner in (dead, alive):
        assert place.lane(owner=owner).claim(entry(place).name) is not None
    dead.end()
    (finding,) = look(place)
    assert finding.done == "given back to its lane"
    assert len(place.names(Lane.RELAY, "new")) == 1 and len(place.names(Lane.RELAY, "cur")) == 1
    alive.end()


def test_a_heartbeat_that_is_a_link_keeps_no_entry_for_ever(place: TestSpool) -> None:
    dead = place.new_owner()
    dead.begin()
    assert place.lane(owner=dead).claim(entry(place).name) is not None
    dead.end()
    (place.spool.owners / dead.id).symlink_to("/etc/passwd")
    assert [finding.done for finding in look(place)] == ["set aside in corrupt/", "given back to its lane"]


def test_remains_go_when_they_are_old_and_not_before(place: TestSpool) -> None:
    name = "1790000000.0000-0001.node.test,S=5"
    remains = [place.spool.folder(Lane.LOCAL) / part / name for part in ("tmp", "trail")]
    for path in remains:
        path.write_text("")
        os.utime(path, (NOW, NOW))
    assert look(place, now=NOW + 60) == []
    assert {finding.done for finding in look(place, now=NOW + 60, after=0.0)} == {"removed"}
    assert not any(path.exists() for path in remains)


def test_a_torn_trail_keeps_what_it_says_of_settled_recipients(place: TestSpool) -> None:
    path = entry(place)
    trail = Trail(str(place.spool.folder(Lane.RELAY) / "trail" / path.name))
    trail.append([TrailRecord(NOW, "t", "delivered", "berta@partner.example")], durable=False)
    with open(trail.path, "ab") as file:
        file.write(b'\x00\x00garbage\n{"at":1,"daem')
    (finding,) = look(place)
    assert "the others kept" in finding.done
    again = Trail(trail.path)
    assert again.settled() == {"berta@partner.example"} and again.damaged == 0
    assert any(b"garbage" in old.read_bytes() for old in place.spool.corrupt.iterdir())
    assert look(place) == [] and place.names() == [path.name]


def test_the_trail_of_an_entry_that_is_being_delivered_is_left(place: TestSpool) -> None:
    path = entry(place)
    daemon = place.new_owner("mercury-c")
    daemon.begin()
    claim = place.lane(owner=daemon).claim(path.name)
    assert claim is not None
    Path(claim.trail.path).write_bytes(b"torn")
    (finding,) = look(place)
    assert not finding.done and "being delivered" in finding.trouble
    assert Path(claim.trail.path).read_bytes() == b"torn"
    daemon.end()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, b"0" * 64, b"99999999999999999999\n", b"%020d\n" % 1])
def test_a_counter_that_says_nothing_or_too_little(place: TestSpool, content: bytes) -> None:
    path = entry(place)
    (place.spool.root / "ids").write_bytes(content)
    (finding,) = look(place, now=NOW - 10**9)
    assert finding.done and finding.path == "ids"
    assert QueueIds(place.spool.root, clock=lambda: 0.0).next() > path.name.split(".")[1]
    assert look(place, now=NOW - 10**9) == []


def test_what_is_doubled_is_told_from_what_shares_an_id(place: TestSpool) -> None:
    name = place.deposit(None, b"Subject: x\r\n\r\n\r\n", Lane.RELAY, Lane.DIRECT)
    relay, direct = (place.spool.folder(lane) for lane in (Lane.RELAY, Lane.DIRECT))
    Trail(str(direct / "trail" / name)).append([TrailRecord(NOW, "t", "deferred", "x@y.example")], durable=False)
    (finding,) = look(place)
    assert finding.path == f".relay/new/{name}" and f".direct/new/{name}" in finding.wrong
    assert not (relay / "new" / name).exists() and (direct / "new" / name).exists()
    envelope = place.envelope("one@x.example")
    other = place.envelope("two@x.example")
    place.deposit(envelope, b"same", Lane.RELAY)
    place.deposit(type(other)(envelope.id, other.sender, other.recipients, other.arrived), b"same", Lane.DIRECT)
    assert look(place) == []


@pytest.mark.parametrize("which", [".relay", ".relay/new", ".hold/trail", "corrupt", "owners"])
def test_a_folder_that_is_a_link_or_gone_is_made_anew_and_nothing_followed(place: TestSpool, which: str) -> None:
    place.owner.end()
    path = place.spool.root / which
    elsewhere = place.spool.root.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    treasure = elsewhere / "treasure"
    treasure.write_text("x")
    os.utime(treasure, (NOW, NOW))
    assert any("no folder" in finding.wrong for finding in look(place, repair=False))
    assert all(finding.done for finding in look(place))
    assert path.is_dir() and not path.is_symlink() and treasure.read_text() == "x"
    look(place)
    assert look(place) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_an_entry_of_another_account_is_given_to_that_of_the_spool(place: TestSpool) -> None:
    path = entry(place)
    os.chown(path, 12345, 12345)
    (finding,) = look(place)
    assert finding.done and path.stat().st_uid == place.spool.root.stat().st_uid
    path.chmod(0)
    assert [finding.done for finding in look(place)] and path.stat().st_mode & 0o777 == 0o600
    os.chown(path, 12345, 12345)
    os.link(path, place.spool.root.parent / "second-name")
    assert any("set aside" in finding.done for finding in look(place))
    assert (place.spool.root.parent / "second-name").stat().st_uid == 12345


def test_what_was_set_aside_and_is_whole_comes_back_with_its_trail(place: TestSpool) -> None:
    path = entry(place)
    Trail(str(place.spool.folder(Lane.RELAY) / "trail" / path.name)).append(
        [TrailRecord(NOW, "t", "delivered", "berta@partner.example")], durable=False
    )
    place.spool.set_aside(str(path), Lane.RELAY, path.name, "cannot be read from the disk")
    (finding,) = look(place)
    assert finding.done == "given back" and place.names() == [path.name]
    claim = place.lane().claim(path.name)
    assert claim is not None and claim.unfinished == ()


def test_one_that_cannot_be_mended_does_not_keep_the_others(
    place: TestSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, worse = entry(place), entry(place)
    for path in (bad, worse):
        empty(place, path)
    rename = os.rename

    def fails(source: str, goal: str) -> None:
        if os.path.basename(source) == worse.name:
            raise OSError(5, "Input/output error")
        rename(source, goal)

    monkeypatch.setattr(os, "rename", fails)
    ends = {finding.path.rpartition("/")[2]: finding for finding in look(place)}
    assert ends[bad.name].done and ends[worse.name].trouble and not ends[worse.name].done
