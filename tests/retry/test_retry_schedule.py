"""When to try again: grows, scatters, ends, and does not believe a clock that jumps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.envelope import Envelope
from shared.retry.schedule import (
    JITTER,
    RetryPolicy,
    backoff,
    is_expired,
    latest_due,
    next_attempt,
    planned_wait,
    should_warn,
)

ARRIVED = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0
POLICY = RetryPolicy()
ANNA = Address("anna", "hq.example")

policies = st.builds(
    lambda first, factor, times, lifetime, bounce, warn: RetryPolicy(
        first, factor, first * times, lifetime, bounce, warn
    ),
    st.floats(0.1, 7200),
    st.floats(1, 10),
    st.floats(1, 100),
    st.floats(1, 1e6),
    st.floats(1, 1e6),
    st.floats(1, 1e6),
)
chances = st.floats(0, 1, exclude_max=True)
attempt_counts = st.integers(1, 10_000)
ages = st.floats(-1e9, 1e9)


def letter(sender: Address | None = ANNA) -> Envelope:
    return Envelope("7Q2M-K4ZC", sender, (), ARRIVED)


def test_waits_double_up_to_the_longest() -> None:
    assert [backoff(POLICY, attempts) / 60 for attempts in range(1, 9)] == [5, 10, 20, 40, 80, 160, 240, 240]


def test_chance_scatters_the_wait_to_both_sides() -> None:
    waits = [next_attempt(POLICY, letter(), 1, ARRIVED, chance) for chance in (0.0, 0.5)]
    assert waits == [ARRIVED + 300 * (1 - JITTER), ARRIVED + 300]


def test_a_whole_life_ends_on_the_lifetime() -> None:
    now, attempts = ARRIVED, 1
    while (due := next_attempt(POLICY, letter(), attempts, now, 0.5)) is not None:
        now, attempts = due, attempts + 1
    assert now == ARRIVED + 5 * DAY
    assert 30 < attempts < 40


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.99])
def test_an_attempt_falls_on_the_moment_of_the_warning(chance: float) -> None:
    now, attempts, told = ARRIVED, 1, []
    while now < ARRIVED + DAY:
        if should_warn(POLICY, letter(), attempts, now):
            told.append(now)
        due = next_attempt(POLICY, letter(), attempts, now, chance)
        assert due is not None
        now, attempts = due, attempts + 1
    assert told[0] == ARRIVED + 4 * HOUR


def test_a_bounce_lives_shorter() -> None:
    assert next_attempt(POLICY, letter(None), 20, ARRIVED + DAY, 0.5) is None
    assert next_attempt(POLICY, letter(), 20, ARRIVED + DAY, 0.5) is not None


@pytest.mark.parametrize("jump", [DAY, 6 * DAY, 3650 * DAY])
def test_a_jump_of_the_clock_alone_expires_and_warns_nothing(jump: float) -> None:
    assert next_attempt(POLICY, letter(), 1, ARRIVED + jump, 0.5) is not None
    assert not should_warn(POLICY, letter(), 1, ARRIVED + jump)


def test_a_message_from_the_future_ends_by_its_attempts() -> None:
    now = ARRIVED - 3650 * DAY
    assert not is_expired(POLICY, letter(), 20, now)
    assert is_expired(POLICY, letter(), 40, now)


def test_the_sender_is_warned_after_four_hours_and_the_null_sender_never() -> None:
    assert not should_warn(POLICY, letter(), 6, ARRIVED + 4 * HOUR - 1)
    assert should_warn(POLICY, letter(), 6, ARRIVED + 4 * HOUR)
    assert not should_warn(POLICY, letter(None), 6, ARRIVED + 4 * HOUR)


@pytest.mark.parametrize(
    "values", [{"first": 0}, {"first": 9, "longest": 8}, {"factor": 0.5}, {"lifetime": 0}, {"warn_after": -1}]
)
def test_a_policy_without_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        RetryPolicy(**values)


@settings(derandomize=True)
@given(policies, attempt_counts, ages, chances)
def test_the_next_attempt_lies_ahead_and_within_the_longest_wait(
    policy: RetryPolicy, attempts: int, age: float, chance: float
) -> None:
    now = ARRIVED + age
    due = next_attempt(policy, letter(), attempts, now, chance)
    if due is not None:
        assert now < due <= latest_due(policy, now)
        assert due - now <= policy.longest * (1 + JITTER) * (1 + 1e-6) + 1e-3
    else:
        assert age < 0 or age >= policy.lifetime


@settings(derandomize=True)
@given(policies, attempt_counts)
def test_waits_never_shrink(policy: RetryPolicy, attempts: int) -> None:
    assert policy.first <= backoff(policy, attempts) <= backoff(policy, attempts + 1) <= policy.longest


@settings(derandomize=True)
@given(policies, st.integers(1, 60))
def test_planned_waits_add_up(policy: RetryPolicy, attempts: int) -> None:
    in_full = sum(backoff(policy, attempt) for attempt in range(1, attempts))
    assert planned_wait(policy, attempts, float("inf")) == pytest.approx(in_full)


@settings(derandomize=True, max_examples=50)
@given(policies, chances)
def test_every_life_comes_to_an_end(policy: RetryPolicy, chance: float) -> None:
    now, attempts = ARRIVED, 1
    for _ in range(50):
        now += policy.lifetime
        attempts += 1
        if next_attempt(policy, letter(), attempts, now, chance) is None:
            return
    #  With a lifetime of many times the longest wait it takes as many attempts as that says.
    assert planned_wait(policy, attempts, policy.lifetime) < policy.lifetime / 2
