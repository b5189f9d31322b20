"""What several workers count together is one number, a dead one's part goes away, and time ends what was timed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.auth.shared_failures import SharedFailures
from mercury_s.door import SharedVisitors
from mercury_s.tally import Tally, make_tally


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = make_tally(3, 100)
    yield made
    os.close(made)


def test_the_total_is_over_all_rows(descriptor: int) -> None:
    one, two = Tally(descriptor, 1), Tally(descriptor, 2)
    one.add("192.0.2.1", 2)
    two.add("192.0.2.1")
    two.add("192.0.2.2", 5)
    assert [one.total("192.0.2.1"), two.total("192.0.2.1"), one.total("192.0.2.2")] == [3, 3, 5]
    two.add("192.0.2.1", -1)
    assert one.total("192.0.2.1") == 2
    assert one.total("never seen") == 0


def test_what_a_dead_worker_had_counted_goes_away(descriptor: int) -> None:
    parent, one, two = (Tally(descriptor, row) for row in range(3))
    one.add("a", 4)
    two.add("a", 1)
    parent.clear(1)
    assert parent.total("a") == 1


def test_a_timed_number_ends_and_survives_its_worker(descriptor: int) -> None:
    now = [100.0]
    one, two = (Tally(descriptor, row, lambda: now[0]) for row in (1, 2))
    one.add("rate", 3, seconds=60)
    two.clear(1)
    now[0] = 130.0
    one.add("rate", 1, seconds=60)
    assert two.total("rate") == 4
    now[0] = 162.0
    assert two.total("rate") == 0
    one.add("rate", 1, seconds=60)
    assert two.total("rate") == 1


def test_forgotten_is_forgotten_in_every_row(descriptor: int) -> None:
    one, two = Tally(descriptor, 1), Tally(descriptor, 2)
    one.add("failures", 2, seconds=60)
    two.add("failures", 2, seconds=60)
    one.forget("failures")
    assert two.total("failures") == 0


def test_less_than_nothing_is_nothing(descriptor: int) -> None:
    tally = Tally(descriptor, 1)
    tally.add("a", -1)
    tally.add("a")
    tally.add("a", -5)
    assert tally.total("a") == 0


def test_more_clients_come_and_go_than_there_is_room_for_at_once(descriptor: int) -> None:
    tally = Tally(descriptor, 1)
    for number in range(20_000):
        tally.add(f"client {number}")
        assert tally.total(f"client {number}") == 1
        tally.add(f"client {number}", -1)
    tally.add("client 1")
    assert tally.total("client 1") == 1


def test_as_many_keys_as_were_asked_for_are_all_counted() -> None:
    descriptor = make_tally(2, 2000)
    tally = Tally(descriptor, 1)
    for number in range(2000):
        tally.add(f"client {number}", number + 1)
    assert all(tally.total(f"client {number}") == number + 1 for number in range(2000))
    os.close(descriptor)


CHANGES = st.lists(st.tuples(st.integers(1, 2), st.sampled_from("abcdefgh"), st.integers(1, 3), st.booleans()))


@settings(derandomize=True, deadline=None)
@given(CHANGES)
def test_it_counts_as_a_counter_does(changes: list[tuple[int, str, int, bool]]) -> None:
    descriptor = make_tally(3, 8)
    tallies = [Tally(descriptor, row) for row in range(3)]
    expected: Counter[tuple[int, str]] = Counter()
    for row, key, amount, is_more in changes:
        amount = amount if is_more else -min(amount, expected[row, key])
        expected[row, key] += amount
        tallies[row].add(key, amount)
        assert tallies[0].total(key) == expected[1, key] + expected[2, key]
    os.close(descriptor)


def test_visitors_are_counted_over_all_workers(descriptor: int) -> None:
    one, two = (SharedVisitors(Tally(descriptor, row)) for row in (1, 2))
    one.enter("192.0.2.1")
    two.enter("192.0.2.1")
    two.enter("2001:db8::1")
    assert (one.all_sessions(), one.all_of_client("192.0.2.1"), one.sessions) == (3, 2, 1)
    two.leave("192.0.2.1")
    assert (one.all_sessions(), one.all_of_client("192.0.2.1")) == (2, 1)


def test_failed_logins_are_counted_over_all_workers(descriptor: int) -> None:
    now = [1000.0]
    one, two = (SharedFailures(Tally(descriptor, row, lambda: now[0])) for row in (1, 2))
    assert [one.note("192.0.2.1", "Anna"), two.note("192.0.2.1", "bert"), one.note("192.0.2.9", "anna")] == [
        1.0,
        2.0,
        2.0,
    ]
    for _ in range(4):
        one.note("192.0.2.1", "x")
        two.note("192.0.2.1", "y")
    assert one.is_blocked("192.0.2.1") and two.is_blocked("192.0.2.1") and not one.is_blocked("192.0.2.9")
    now[0] += 602
    assert not one.is_blocked("192.0.2.1")
    assert one.note("192.0.2.1", "z") == 1.0
