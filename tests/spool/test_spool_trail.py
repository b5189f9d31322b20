"""The trail: lines come back, torn ones do no harm, and who is settled is not tried again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fakes.syscalls import CrashNow, crash, failing, spied
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import parse_address
from shared.mail.envelope import Recipient
from shared.spool.trail import SETTLED, Trail, TrailRecord

TEXT = st.text(max_size=20)
RECORD = st.builds(TrailRecord, st.floats(allow_nan=False, allow_infinity=False), TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)
ANNA, BERTA = Recipient(parse_address("anna@x.example")), Recipient(parse_address("bérta@x.example"))


def record(event: str, recipient: Recipient = ANNA, at: float = 1.0) -> TrailRecord:
    return TrailRecord(at, "mercury-c", event, str(recipient.address), "250 2.0.0 Ok", "mx.x.example", "")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "trail")


@settings(derandomize=True, deadline=None)
@given(records=st.lists(RECORD, max_size=6))
def test_lines_come_back(records: list[TrailRecord], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("trails") / "trail")
    trail = Trail(path)
    for one in records:
        trail.append([one], durable=False)
    assert list(trail.records) == list(Trail(path).records) == records
    assert trail.exists is bool(records)


def test_a_line_is_readable(path: str) -> None:
    Trail(path).append([record("deferred", BERTA)], durable=False)
    assert Path(path).read_text() == (
        '{"at":1.0,"daemon":"mercury-c","event":"deferred","recipient":"bérta@x.example",'
        '"reply":"250 2.0.0 Ok","host":"mx.x.example"}\n'
    )
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_without_a_file_there_is_nothing_and_nothing_is_made(path: str) -> None:
    trail = Trail(path)
    assert (list(trail.records), trail.exists, trail.attempts()) == ([], False, 0)
    assert trail.unfinished((ANNA, BERTA)) == (ANNA, BERTA)
    trail.remove()
    assert not os.path.exists(path)


@pytest.mark.parametrize("event", sorted(SETTLED))
def test_a_settled_recipient_is_not_tried_again(path: str, event: str) -> None:
    Trail(path).append([record("deferred", ANNA), record("deferred", BERTA), record(event, BERTA)], durable=True)
    assert Trail(path).unfinished((ANNA, BERTA)) == (ANNA,)


@pytest.mark.parametrize("event", ["deferred", "failed", "warned", "something new"])
def test_others_are_tried_again(path: str, event: str) -> None:
    Trail(path).append([record(event)], durable=False)
    assert Trail(path).unfinished((ANNA,)) == (ANNA,)


def test_attempts_are_counted_by_the_recipient_deferred_most_often(path: str) -> None:
    trail = Trail(path)
    for at in (1.0, 2.0, 3.0):
        trail.append([record("deferred", ANNA, at)], durable=False)
    trail.append([record("deferred", BERTA, 3.0), record("warned")], durable=False)
    assert trail.attempts() == Trail(path).attempts() == 3


def test_a_durable_line_is_synced_and_so_is_the_name_of_the_first(path: str) -> None:
    trail = Trail(path)
    with spied(0, failing(0), ("fsync",)) as calls:
        trail.append([record("delivered")], durable=True)
        assert len(calls.made) == 2
        trail.append([record("delivered")], durable=True)
        assert len(calls.made) == 3
        trail.append([record("deferred")], durable=False)
        assert len(calls.made) == 3


def test_a_torn_line_counts_as_not_written_and_harms_no_other(path: str) -> None:
    whole = Trail(path)
    whole.append([record("delivered", ANNA)], durable=False)
    whole.append([record("delivered", BERTA)], durable=False)
    data = Path(path).read_bytes()
    first = data.index(b"\n") + 1
    for end in range(first + 1, len(data)):
        Path(path).write_bytes(data[:end])
        torn = Trail(path)
        assert torn.unfinished((ANNA, BERTA)) == (BERTA,) and torn.damaged == 1 and torn.exists
        torn.append([record("bounced", BERTA)], durable=False)
        assert Trail(path).unfinished((ANNA, BERTA)) == ()


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b"null", b'{"at":1}', b'{"at":"x","daemon":"d","event":"e"}', b"\xff\xfe", b'{"at":1,"daemon":2,"event":"e"}']
)  # fmt: skip
def test_a_damaged_line_is_skipped_and_counted(path: str, line: bytes) -> None:
    trail = Trail(path)
    trail.append([record("delivered", ANNA)], durable=False)
    Path(path).write_bytes(line + b"\n" + Path(path).read_bytes())
    again = Trail(path)
    assert again.unfinished((ANNA,)) == () and again.damaged == 1


def test_a_field_of_a_later_version_is_skipped(path: str) -> None:
    Path(path).write_text('{"at":1,"daemon":"d","event":"e","colour":"blue"}\n')
    assert list(Trail(path).records) == [TrailRecord(1, "d", "e")]


def test_a_write_that_fails_half_way_does_not_swallow_the_next_line(path: str) -> None:
    trail = Trail(path)
    trail.append([record("deferred", ANNA)], durable=False)
    real = os.writev

    def half(descriptor: int, pieces: list[bytes]) -> int:
        real(descriptor, [pieces[0][:20]])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", half)
        with pytest.raises(OSError):
            trail.append([record("delivered", ANNA)], durable=True)
    assert trail.unfinished((ANNA,)) == (ANNA,)
    trail.append([record("delivered", ANNA)], durable=True)
    assert Trail(path).unfinished((ANNA,)) == ()


def test_a_crash_at_any_call_loses_no_line_that_was_promised(tmp_path: Path) -> None:
    for at in range(1, 8):
        path = str(tmp_path / f"trail{at}")
        Trail(path).append([record("delivered", ANNA)], durable=True)
        done = False
        with spied(at, crash):
            try:
                Trail(path).append([record("delivered", BERTA)], durable=True)
                done = True
            except CrashNow:
                pass
        left = Trail(path).unfinished((ANNA, BERTA))
        assert left == () or (left == (BERTA,) and not done)
    assert done


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_regular_file_is_an_error_and_not_followed(tmp_path: Path, path: str, kind: str) -> None:
    if kind == "link":
        (tmp_path / "elsewhere").write_text("")
        os.symlink(tmp_path / "elsewhere", path)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkdir(path)
    with pytest.raises(OSError):
        Trail(path).append([record("delivered")], durable=False)
    if kind == "link":
        assert (tmp_path / "elsewhere").read_text() == ""


def test_a_copy_is_whole_and_synced_before_it_has_its_name(tmp_path: Path, path: str) -> None:
    trail = Trail(path)
    trail.append([record("delivered")], durable=False)
    (tmp_path / "tmp").write_text("left by a crash")
    with spied(0, failing(0), ("fsync", "rename")) as calls:
        trail.copy(str(tmp_path / "tmp"), str(tmp_path / "copy"))
    assert calls.made == ["fsync", "rename", "fsync"]
    assert list(Trail(str(tmp_path / "copy")).records) == list(trail.records)
