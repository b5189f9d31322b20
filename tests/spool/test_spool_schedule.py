"""The schedule hands out what is due, each name once, the longest overdue first."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.spool.schedule import Schedule


def test_what_is_due_comes_in_order_and_once() -> None:
    schedule = Schedule()
    for name, due in (("late", 30.0), ("early", 10.0), ("middle", 20.0)):
        schedule.notice(name, due)
    assert schedule.next_due() == 10.0
    assert schedule.due(9.9, 10) == []
    assert schedule.due(20.0, 10) == ["early", "middle"]
    assert schedule.due(20.0, 10) == []
    assert len(schedule) == 1 and "late" in schedule and "early" not in schedule


def test_the_limit_is_kept_and_the_rest_stays() -> None:
    schedule = Schedule()
    for number in range(5):
        schedule.notice(str(number), float(number))
    assert schedule.due(10.0, 2) == ["0", "1"]
    assert schedule.due(10.0, 0) == []
    assert schedule.due(10.0, 10) == ["2", "3", "4"]


def test_a_new_time_takes_the_place_of_the_old() -> None:
    schedule = Schedule()
    schedule.notice("a", 10.0)
    schedule.notice("a", 50.0)
    assert len(schedule) == 1 and schedule.next_due() == 50.0
    assert schedule.due(49.0, 10) == []
    schedule.notice("a", 20.0)
    assert schedule.due(20.0, 10) == ["a"]


def test_what_is_forgotten_is_not_handed_out() -> None:
    schedule = Schedule()
    schedule.notice("a", 10.0)
    schedule.forget("a")
    schedule.forget("never seen")
    assert schedule.next_due() is None and schedule.due(99.0, 10) == [] and len(schedule) == 0


def test_memory_does_not_grow_with_what_was_forgotten() -> None:
    schedule = Schedule()
    schedule.notice("stays", 1e9)
    for number in range(10_000):
        schedule.notice("a", float(number))
        schedule.notice(f"gone{number}", 5.0)
        schedule.forget(f"gone{number}")
    assert len(schedule._heap) < 3000
    assert schedule.due(1e10, 10) == ["a", "stays"]


class AgainstADict(RuleBasedStateMachine):
    """A schedule is a dict with an order."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.model: dict[str, float] = {}

    @rule(name=st.sampled_from("abcdef"), due=st.integers(0, 20))
    def notice(self, name: str, due: int) -> None:
        self.schedule.notice(name, float(due))
        self.model[name] = float(due)

    @rule(name=st.sampled_from("abcdef"))
    def forget(self, name: str) -> None:
        self.schedule.forget(name)
        self.model.pop(name, None)

    @rule(now=st.integers(0, 20), limit=st.integers(0, 4))
    def due(self, now: int, limit: int) -> None:
        wanted = sorted((due, name) for name, due in self.model.items() if due <= now)[:limit]
        assert self.schedule.due(float(now), limit) == [name for _, name in wanted]
        for _, name in wanted:
            del self.model[name]

    @invariant()
    def same(self) -> None:
        assert len(self.schedule) == len(self.model)
        assert self.schedule.next_due() == min(self.model.values(), default=None)


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(derandomize=True, max_examples=100, deadline=None)
