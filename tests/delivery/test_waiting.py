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
    assert filled(9, 9).take(100.0, 4) == ["new0", "old0", "new1", "old1"]


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


def test_ten_thousand_letters_of_one_sender_cost_another_one_turn() -> None:
    waiting = Waiting(Schedule())
    for number in range(10_000):
        waiting.arrive(f"1.n{number}.h,S=1,F=news")
    waiting.arrive("1.letter.h,S=1,F=anna")
    assert "1.letter.h,S=1,F=anna" in waiting.take(1.0, 2)
    assert waiting.take(1.0, 2) == ["1.n1.h,S=1,F=news", "1.n2.h,S=1,F=news"]


def test_the_same_holds_for_what_was_found_at_the_start() -> None:
    waiting = Waiting(Schedule())
    for number in range(900):
        waiting.notice(f"1.n{number}.h,S=1,F=news", 5.0)
    waiting.notice("1.letter.h,S=1,F=anna", 6.0)
    assert "1.letter.h,S=1,F=anna" in waiting.take(10.0, 2)


def test_urgent_goes_before_usual_and_usual_before_bulk() -> None:
    waiting = Waiting(Schedule())
    for number in range(6):
        for mark in (",P=-3", "", ",P=4"):
            waiting.arrive(f"1.{number}.h,S=1{mark}")
    assert [name.partition(",P=")[2] for name in waiting.take(1.0, 6)] == ["4"] * 6
    assert sorted(name.partition(",P=")[2] for name in waiting.take(1.0, 6)) == ["", "", "", "", "", "-3"]


def test_bulk_is_never_stopped_altogether() -> None:
    waiting = Waiting(Schedule())
    waiting.arrive("1.bulk.h,S=1,P=-3")
    for number in range(100):
        waiting.arrive(f"1.{number}.h,S=1")
    assert "1.bulk.h,S=1,P=-3" in [name for _ in range(8) for name in waiting.take(1.0, 1)]


def test_what_is_parked_comes_back_first_and_once_and_only_when_called() -> None:
    waiting = filled(0, 3)
    for name in waiting.take(1.0, 2):
        waiting.park(name, "dead.example")
    for name in ("new0", "new1"):
        waiting.arrive(name)  #  the watch has seen it go back
        waiting.notice(name, 0.5)  #  and so has a scan
    assert len(waiting) == 3
    assert waiting.take(1.0, 5) == ["new2"]
    assert waiting.next_due() is None
    assert list(waiting.destinations()) == ["dead.example"]
    assert waiting.resume("dead.example", 1) == ["new0"]
    waiting.arrive("new3")
    assert waiting.take(1.0, 5) == ["new0", "new3"]
    assert waiting.resume("dead.example", 5) == ["new1"]
    assert not waiting.destinations()
    assert waiting.take(1.0, 5) == ["new1"]
    assert len(waiting) == 0


def test_what_is_parked_comes_back_by_urgency_and_in_turns_of_its_flows() -> None:
    waiting = Waiting(Schedule())
    news = [f"1.n{number}.h,S=1,F=news" for number in range(1000)]
    for name in (*news, "1.letter.h,S=1,F=anna", "1.urgent.h,S=1,F=news,P=4", "1.bulk.h,S=1,F=club,P=-4"):
        waiting.park(name, "slow.example")
    back = waiting.resume("slow.example", 7)
    assert back == [
        "1.urgent.h,S=1,F=news,P=4", news[0], "1.letter.h,S=1,F=anna", *news[1:4], "1.bulk.h,S=1,F=club,P=-4"
    ]  # fmt: skip
    assert waiting.take(1.0, 7) == back
    assert waiting.resume("slow.example", 5000) == news[4:] and not waiting.destinations()


def test_what_somebody_else_has_postponed_is_no_longer_parked_or_ready() -> None:
    waiting = filled(0, 2)
    waiting.take(1.0, 1)
    waiting.park("new0", "dead.example")
    for name in ("new0", "new1"):
        waiting.notice(name, 50.0)
    assert waiting.take(2.0, 5) == []
    assert waiting.resume("dead.example", 5) == []
    assert waiting.next_due() == 50.0 and len(waiting) == 2


def test_a_name_is_kept_once_however_often_it_is_seen() -> None:
    waiting = filled(0, 1)
    waiting.take(0.0, 0)
    for _ in range(3):
        waiting.arrive("new0")
        waiting.notice("new0", -1.0)
    assert len(waiting) == 1
    assert waiting.take(1.0, 5) == ["new0"]
    assert waiting.take(1.0, 5) == []
