"""The memory of what did not answer."""

from __future__ import annotations

from shared.transport.back_off import FIRST, JITTER, LONGEST, MOST_REMEMBERED, BackOff


def test_pauses_double_up_to_a_limit_and_end_with_a_success() -> None:
    now = 0.0
    memory: BackOff[str, str] = BackOff(lambda: now, lambda: 0.5)
    pauses = []
    for _ in range(6):
        memory.note_failure("a", "refused")
        began = now
        assert memory.recall("a") == "refused" and memory.recall("b") is None
        while memory.recall("a"):
            now += 1.0
        pauses.append(now - began)
    assert pauses == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, LONGEST, LONGEST]
    memory.note_failure("a", "again")
    memory.note_success("a")
    assert memory.recall("a") is None
    memory.note_failure("a", "anew")
    now += FIRST
    assert memory.recall("a") is None
    memory.note_success("never known")


def test_who_is_given_another_chance_has_one_and_no_more() -> None:
    now = 10.0
    memory: BackOff[str, str] = BackOff(lambda: now, lambda: 0.5)
    memory.note_failure("a", "dead")
    memory.relent()
    assert memory.recall("a") is None
    memory.note_failure("a", "still dead")
    now += FIRST
    assert memory.recall("a") == "still dead", "the pauses go on to grow"


def test_the_memory_is_bounded() -> None:
    now = 0.0
    memory: BackOff[int, str] = BackOff(lambda: now, lambda: 0.5)
    for number in range(MOST_REMEMBERED):
        memory.note_failure(number, "x")
    now = LONGEST
    memory.note_failure(-1, "x")
    assert memory.recall(-1) == "x"
    assert len(memory._failures) == 1


def test_what_failed_together_does_not_come_back_together() -> None:
    now, chances = 0.0, iter([0.0, 0.5, 0.999])
    memory: BackOff[str, str] = BackOff(lambda: now, lambda: next(chances))
    for key in "abc":
        memory.note_failure(key, "x")
    now = FIRST * (1 - JITTER)
    assert [memory.recall(key) for key in "abc"] == [None, "x", "x"]
    now = FIRST
    assert [memory.recall(key) for key in "abc"] == [None, None, "x"]
    now = FIRST * (1 + JITTER)
    assert [memory.recall(key) for key in "abc"] == [None, None, None]
