"""Budgets: no span of a limit's length ever holds more than it allows, and forecasts are true if nothing changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.budget import Account, Budget, Limit, Meter, Unit, words_of_span

HOUR = Limit(Unit.MESSAGES, 10, 3600.0)


def test_what_is_spent_comes_back_after_the_time_and_not_before() -> None:
    meter = Meter(HOUR)
    for number in range(10):
        assert meter.free_in(1, 10, 1000.0 + number) == 0
        meter.spend(1, 1000.0 + number)
    wait = meter.free_in(1, 10, 1010.0)
    assert 3590 <= wait <= 3590 + 60
    assert meter.spent(1010.0 + wait - 1) == 10 and meter.spent(1010.0 + wait) < 10


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(1, 5)), max_size=80))
def test_no_hour_holds_more_than_the_budget(steps: list[tuple[float, int]]) -> None:
    account = Account(Budget((Limit(Unit.RECIPIENTS, 12, 3600.0), Limit(Unit.MESSAGES, 3, 60.0))))
    now, taken = 0.0, list[tuple[float, int]]()
    for pause, wanted in steps:
        now += pause
        room = account.room(wanted, False, now)
        if room:
            account.spend(1, room, now)
            taken.append((now, room))
        else:
            wait, _ = account.free_in(wanted, False, now)
            later = Account(account.budget, account.kept())
            assert wait > 0 and later.room(wanted, False, now + wait) > 0
    for begin, _ in taken:
        assert sum(count for at, count in taken if begin <= at < begin + 3600) <= 12
        assert sum(1 for at, _ in taken if begin <= at < begin + 60) <= 3


def test_what_was_given_back_may_be_spent_again() -> None:
    meter = Meter(HOUR)
    meter.spend(4, 100.0)
    meter.spend(6, 200.0)
    meter.spend(-7, 210.0)
    assert meter.spent(210.0) == 3


def test_a_reserve_is_for_urgent_mail_alone() -> None:
    account = Account(Budget((HOUR,), reserve=20))
    account.spend(8, 8, 0.0)
    assert account.room(1, False, 1.0) == 0
    assert account.room(1, True, 1.0) == 1


def test_a_part_of_many_recipients_goes_when_there_is_no_room_for_all() -> None:
    account = Account(Budget((Limit(Unit.RECIPIENTS, 50, 3600.0),)))
    assert account.room(200, False, 0.0) == 50
    account.spend(1, 50, 0.0)
    wait, limit = account.free_in(150, False, 0.0)
    assert 3600 <= wait <= 3661 and limit is account.budget.limits[0]


def test_counts_outlive_a_restart_and_belong_to_their_limit() -> None:
    account = Account(Budget((HOUR,)))
    account.spend(7, 7, 500.0)
    assert Account(account.budget, account.kept()).meters[0].spent(600.0) == 7
    assert Account(Budget((Limit(Unit.MESSAGES, 20, 3600.0),)), account.kept()).meters[0].spent(600.0) == 0


def test_a_clock_that_was_ahead_does_not_close_the_hop_for_ever() -> None:
    meter = Meter(HOUR)
    meter.spend(10, 1e9)
    assert meter.free_in(1, 10, 1000.0) == 0


def test_the_forecast_follows_the_pace_of_late() -> None:
    meter = Meter(Limit(Unit.MESSAGES, 100, 3600.0))
    assert meter.used_up_in(100, 0.0) is None
    for minute in range(15):
        meter.spend(2, 60.0 * minute)
    #  Two a minute, thirty are spent: the other seventy last 35 minutes.
    assert meter.used_up_in(100, 14 * 60.0) == pytest.approx(35 * 60, rel=0.01)
    assert meter.used_up_in(30, 14 * 60.0) == 0
    #  One every other minute never comes to a hundred in an hour.
    slow = Meter(meter.limit)
    for minute in range(0, 60, 2):
        slow.spend(1, 60.0 * minute)
    assert slow.used_up_in(100, 3600.0) is None


def test_spans_are_said_short() -> None:
    assert [words_of_span(s) for s in (60, 3600, 86400, 90, 5400)] == ["1m", "1h", "1d", "90s", "90m"]
