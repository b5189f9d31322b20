"""What waits: new mail and old in turns, nothing twice, nothing before its time."""

from __future__ import annotations

from shared.delivery.waiting import Waiting
from shared.spool.schedule import Schedule


def filled(old: int, new: int) -> Waiting:
    waiting = Waiting(Schedule())
    for number in range(old):
        waiting.notice(f"old{number}", float(number))
    for number in range(new):
        waiting.arrive(f"new{number}")
    return waiting


def test_new_and_old_share_what_room_there_is() -> None:
    assert filled(9, 9).take(100.0, 4) == ["old0", "old1", "new0", "new1"]


def test_a_single_place_goes_to_the_new() -> None:
    assert filled(9, 9).take(100.0, 1) == ["new0"]


def test_what_one_side_does_not_need_the_other_gets() -> None:
    assert len(filled(9, 1).take(100.0, 8)) == 8
    assert len(filled(1, 9).take(100.0, 8)) == 8
    assert len(filled(0, 9).take(100.0, 8)) == 8


def test_nothing_is_taken_twice_or_before_its_time() -> None:
    waiting = filled(3, 1)
    assert sorted(waiting.take(1.0, 10)) == ["new0", "old0", "old1"]
    assert waiting.take(1.0, 10) == []
    assert waiting.next_due() == 2.0
    assert len(waiting) == 1


def test_next_due_is_long_past_when_something_is_new() -> None:
    assert filled(0, 1).next_due() == float("-inf")
    assert filled(0, 0).next_due() is None


def test_a_forgotten_name_does_not_come() -> None:
    waiting = filled(1, 0)
    assert "old0" in waiting
    waiting.forget("old0")
    assert "old0" not in waiting
    assert waiting.take(100.0, 5) == []
