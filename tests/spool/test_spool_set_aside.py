"""What cannot be trusted is set aside, whole and with a reason; never followed, never removed, and the lane goes on."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.spools import MESSAGE, TestSpool
from fakes.syscalls import failing, spied

from shared.routing.lane import Lane
from shared.spool.record import render_record
from shared.spool.trail import TrailRecord


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def new(place: TestSpool, name: str) -> Path:
    return place.spool.folder(Lane.RELAY) / "new" / name


def claim_all(place: TestSpool) -> list[bytes]:
    """What a daemon would deliver of the lane."""
    lane = place.lane()
    claims = [lane.claim(name) for name, _ in list(lane.scan())]
    return [b"".join(claim.content.chunks()) for claim in claims if claim is not None]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60] ^= 4
    path.write_bytes(data)


def swap_with_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("kept")


def swap_with_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def swap_with_a_socket(path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  #  The name of a socket has at most 107 octets.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def swap_with_a_link(path: Path) -> None:
    path.rename(path.parent.parent / "target")
    path.symlink_to(path.parent.parent / "target")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b""), "has 0 octets"),
        (lambda path: os.truncate(path, 100), "has 100 octets"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "octets, its name says"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "no Mercury-Envelope"),
        (lambda path: path.write_bytes(b"Mercury-Envelope: 1".ljust(path.stat().st_size)), "no end"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b": 1 ", b": 2 ")), "version 2"),
        (flip_a_bit, "checksum"),
        (swap_with_a_folder, "no regular file"),
        (swap_with_a_pipe, "no regular file"),
        (swap_with_a_socket, "socket"),
        (swap_with_a_link, "link"),
    ],
)
def test_a_damaged_entry_is_set_aside_and_the_next_is_delivered(
    place: TestSpool, damage: Callable[[Path], None], reason: str
) -> None:
    broken, good = place.deposit(), place.deposit()
    damage(new(place, broken))
    kind = new(place, broken).lstat()
    assert claim_all(place) == [MESSAGE]
    aside = place.spool.corrupt / f"relay.{broken}"
    assert (aside.lstat().st_ino, aside.lstat().st_size) == (kind.st_ino, kind.st_size)
    assert reason in place.events.reason() and place.events.seen[-1][1]["path"] == str(aside)
    assert place.names() == [] and place.names(part="cur") == [f"{good},N={place.owner.id}:2,"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO])
@pytest.mark.parametrize("call", ["open", "read"])
def test_an_entry_that_cannot_be_read_is_set_aside(place: TestSpool, number: int, call: str) -> None:
    name = place.deposit()
    with spied(2 if call == "open" else 1, failing(number), (call,)):  #  The first open is the trail's.
        assert place.lane().claim(name) is None
    assert place.files() == [f"corrupt/relay.{name}"]


@pytest.mark.parametrize("name", ["notes.txt", "1790000000.x", "a" * 250, "1790000000.id.node,S=3:2,S", "caf\udce9"])
def test_a_foreign_name_is_set_aside(place: TestSpool, name: str) -> None:
    new(place, name).write_text("hello")
    good = place.deposit()
    assert claim_all(place) == [MESSAGE]
    (aside,) = place.spool.corrupt.iterdir()
    assert aside.name == f"relay.{name}"[:200] and aside.read_text() == "hello"
    assert good not in place.names()


def test_a_file_under_another_entrys_name_is_set_aside(place: TestSpool) -> None:
    one, other = place.deposit(), place.deposit()
    os.rename(new(place, one), new(place, other))
    assert claim_all(place) == []
    assert "another queue id" in place.events.reason()


def test_hidden_names_are_left_alone(place: TestSpool) -> None:
    new(place, ".nfs0000001").write_text("")
    assert claim_all(place) == [] and place.names() == [".nfs0000001"]


def test_the_trail_goes_with_it(place: TestSpool) -> None:
    name = place.deposit()
    lane = place.lane()
    claim = lane.claim(name)
    assert claim is not None
    claim.trail.append([TrailRecord(1.0, "mercury-t", "deferred")], durable=False)
    lane.release(claim)
    os.truncate(new(place, name), 5)
    assert lane.claim(name) is None
    assert place.files() == [f"corrupt/relay.{name}", f"corrupt/relay.{name}.trail"]


def test_nothing_set_aside_is_ever_overwritten(place: TestSpool) -> None:
    for content in ("first", "second", "third"):
        new(place, "notes.txt").write_text(content)
        place.lane().claim("notes.txt")
    assert {path.name: path.read_text() for path in place.spool.corrupt.iterdir()} == {
        "relay.notes.txt": "first",
        "relay.notes.txt.1": "second",
        "relay.notes.txt.2": "third",
    }


def test_what_cannot_be_set_aside_stays_and_is_reported(place: TestSpool) -> None:
    new(place, "notes.txt").write_text("x")
    with spied(1, failing(errno.EROFS), ("rename",)):
        assert place.lane().claim("notes.txt") is None
    assert place.names() == ["notes.txt"] and "cannot be moved" in place.events.reason()


def test_a_thousand_mutants_never_deliver_half_a_message_or_end_the_lane(tmp_path: Path) -> None:
    """Bits flipped, pieces cut out, put in or doubled, in record and message. An entry comes out with an envelope that
    was written, or is set aside; never removed."""
    chance = random.Random(5322)
    place = TestSpool(tmp_path)
    envelopes = {}
    for number in range(1000):
        envelope = place.envelope(f"user{number}@partner.example")
        name = place.deposit(envelope)
        envelopes[envelope.id] = envelope
        path = new(place, name)
        data = bytearray(path.read_bytes())
        at = chance.randrange(len(data))
        match number % 4:
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 20))
            case 3:
                data[at : at + 10] = data[:10]
        path.write_bytes(data)
    lane = place.lane()
    delivered = 0
    for name, _ in list(lane.scan()):
        claim = lane.claim(name)
        if claim is not None:
            delivered += 1
            assert claim.envelope == envelopes[claim.envelope.id]
            assert claim.content.size == len(MESSAGE)
            assert claim.content.size + len(render_record(claim.envelope)) == int(name.partition("S=")[2])
    assert 0 < delivered < 500
    assert len(list(place.spool.corrupt.iterdir())) == 1000 - delivered == len(place.events.seen)
