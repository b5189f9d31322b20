"""Queue ids are never given out twice, and are understood as people type them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.syscalls import CrashNow, crash, failing, spied
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.spool.ids import QueueIds, normalize_id, render_id

EPOCH = 1767225600


def test_ids_are_eight_digits_with_a_dash_and_count_on(tmp_path: Path) -> None:
    ids = QueueIds(tmp_path, clock=lambda: EPOCH)
    assert [ids.next() for _ in range(3)] == ["0000-0000", "0000-0001", "0000-0002"]
    assert render_id(32**8 - 1) == "ZZZZ-ZZZZ"


@pytest.mark.parametrize("number", [-1, 32**8])
def test_a_number_beyond_eight_digits_is_no_id(number: int) -> None:
    with pytest.raises(ValueError):
        render_id(number)


def test_several_processes_share_the_counter(tmp_path: Path) -> None:
    several = [QueueIds(tmp_path, block=3, clock=lambda: EPOCH) for _ in range(3)]
    given_out = [ids.next() for _ in range(10) for ids in several]
    assert len(set(given_out)) == 30


def test_the_counter_is_stored_before_an_id_is_used(tmp_path: Path) -> None:
    first = QueueIds(tmp_path, block=10, clock=lambda: EPOCH)
    used = first.next()
    assert int((tmp_path / "ids").read_text()) == 10
    assert QueueIds(tmp_path, block=10, clock=lambda: EPOCH).next() == render_id(10) != used


def test_a_clock_that_goes_back_brings_no_id_back(tmp_path: Path) -> None:
    now = QueueIds(tmp_path, clock=lambda: EPOCH + 1000).next()
    later = QueueIds(tmp_path, clock=lambda: EPOCH - 10**9).next()
    assert later > now >= render_id(1_000_000)


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"nonsense\n", b"12 34\n", b"-5\n"])
def test_without_a_counter_the_clock_says_where_to_go_on(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    assert QueueIds(tmp_path, clock=lambda: EPOCH + 5).next() == render_id(2 * 4096)
    assert int((tmp_path / "ids").read_bytes()) == 3 * 4096


def test_hosts_that_see_the_counter_late_share_no_block(tmp_path: Path) -> None:
    """As GlusterFS shows it: for a second what was there before, even under the lock."""
    given_out = [QueueIds(tmp_path, block=4, clock=lambda: EPOCH).next()]
    late = (tmp_path / "ids").read_bytes()
    for host in range(9):
        (tmp_path / "ids").write_bytes(late if host % 3 else b"")
        given_out.append(QueueIds(tmp_path, block=4, clock=lambda: EPOCH + 0.003).next())
    assert len(set(given_out)) == 10


def test_the_files_of_old_blocks_go(tmp_path: Path) -> None:
    for moment in range(100):
        QueueIds(tmp_path, block=4, clock=lambda moment=moment: EPOCH + moment).next()
    (tmp_path / "ids.notes").touch()
    assert len(list(tmp_path.iterdir())) <= 67


def test_a_crash_at_any_call_gives_no_id_out_twice(tmp_path: Path) -> None:
    given_out: list[str] = []
    for at in range(1, 20):
        with spied(at, crash, ("open", "pwrite", "fsync", "close", "pread")) as calls:
            try:
                #  Each block is nobody's yet, else the calls would count the blocks that crashes have skipped.
                given_out.append(QueueIds(tmp_path, block=2, clock=lambda at=at: EPOCH + at).next())
            except CrashNow:
                continue
        assert len(calls.made) < at
    assert len(set(given_out)) == len(given_out) >= 10


@pytest.mark.parametrize("call", ["open", "pwrite", "fsync"])
def test_a_block_that_cannot_be_reserved_is_an_error_and_not_an_id(tmp_path: Path, call: str) -> None:
    ids = QueueIds(tmp_path, clock=lambda: EPOCH)
    with spied(1, failing(28), (call,)), pytest.raises(OSError):
        ids.next()
    assert ids.next()


def test_the_counter_is_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("7\n")
    os.symlink(tmp_path / "elsewhere", tmp_path / "ids")
    with pytest.raises(OSError):
        QueueIds(tmp_path).next()


@pytest.mark.parametrize("typed", ["7Q2M-K4ZC", "7q2mk4zc", " 7q2m-k4zc\n", "7Q2MK4ZC", "7q-2m-k4-zc"])
def test_ids_as_people_type_them(typed: str) -> None:
    assert normalize_id(typed) == "7Q2M-K4ZC"


def test_letters_that_look_like_digits_are_those() -> None:
    assert normalize_id("oil0-OIL1") == "0110-0111"


@pytest.mark.parametrize("typed", ["", "7Q2M", "7Q2M-K4ZCX", "7Q2M-K4Z*", "7Q2M-K4ZU", "../../..", "７Q2M-K4ZC"])
def test_what_is_no_id_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        normalize_id(typed)


@settings(derandomize=True)
@given(number=st.integers(min_value=0, max_value=32**8 - 1))
def test_every_id_is_its_own_normal_form(number: int) -> None:
    assert normalize_id(render_id(number)) == render_id(number)
