"""Rates, times and crowds as pure decisions: moments and counters in, verdicts out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.policy.crowd import CrowdFacts, decide_room, descriptors_for_sessions, is_crowded, prefix_of
from mercury_s.policy.literal import is_own_literal
from mercury_s.policy.patience import Moment, Patience, Phase, deadline
from mercury_s.policy.rates import draw
from shared.config.rate import Rate


def test_a_bucket_gives_its_count_at_once_and_then_one_by_one() -> None:
    rate, due = Rate(3, 60.0), 0.0
    for _ in range(3):
        due, wait = draw(rate, due, 100.0)
        assert wait == 0
    due, wait = draw(rate, due, 100.0)
    assert wait == pytest.approx(20.0)
    due, wait = draw(rate, due, 120.0)
    assert wait == 0
    _, wait = draw(rate, due, 120.0)
    assert wait == pytest.approx(20.0)


def test_more_than_a_bucket_takes_a_whole_bucket() -> None:
    due, wait = draw(Rate(3, 60.0), 0.0, 100.0, amount=500)
    assert (due, wait) == (160.0, 0.0)
    assert draw(Rate(3, 60.0), due, 101.0)[1] > 0


@settings(derandomize=True, max_examples=200)
@given(st.integers(1, 50), st.integers(1, 100), st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=200))
def test_no_window_ever_sees_more_than_twice_the_count(count: int, seconds: int, pauses: list[float]) -> None:
    rate, due, now = Rate(count, float(seconds)), 0.0, 1000.0
    granted: list[float] = []
    for pause in pauses:
        now += pause
        due, wait = draw(rate, due, now)
        if wait == 0:
            granted.append(now)
    for start in granted:
        assert len([moment for moment in granted if start <= moment <= start + seconds]) <= 2 * count + 1


P = Patience(command=300, content=180, rate=500, handshake=60, stress=10)


@pytest.mark.parametrize(
    ("phase", "moment", "is_stressed", "expected"),
    [
        (Phase.COMMAND, Moment(100, 100, 0), False, 400),
        #  An octet now and then does not help: the time is from our last word.
        (Phase.COMMAND, Moment(100, 390, 29), False, 400),
        (Phase.COMMAND, Moment(100, 105, 2), True, 110),
        (Phase.HANDSHAKE, Moment(100, 150, 5), False, 160),
        (Phase.HANDSHAKE, Moment(100, 100, 5), True, 110),
        #  Nothing heard for the whole grace; or heard, but too little for the rate.
        (Phase.CONTENT, Moment(100, 100, 0), False, 280),
        (Phase.CONTENT, Moment(100, 279, 18), False, 100 + 180 + 18 / 500),
        (Phase.CONTENT, Moment(100, 5000, 10_000_000), False, 5180),
        (Phase.CONTENT, Moment(100, 109, 1), True, 110 + 1 / 500),
        (Phase.OURSELVES, Moment(100, 100, 0), True, float("inf")),
    ],
)
def test_times(phase: Phase, moment: Moment, is_stressed: bool, expected: float) -> None:
    assert deadline(P, phase, moment, is_stressed) == pytest.approx(expected)


FACTS = CrowdFacts(10, 100, 5, 20, 40, 1000, is_known=False, is_exempt=False)


@pytest.mark.parametrize(
    ("changes", "is_welcome"),
    [
        ({}, True),
        ({"descriptor": 1000}, False),
        ({"descriptor": 1000, "is_known": True, "is_exempt": True}, False),
        ({"sessions": 94}, True),
        ({"sessions": 95}, False),
        ({"sessions": 95, "is_known": True}, True),
        ({"sessions": 9, "most_sessions": 10}, True),
        ({"sessions_of_network": 20}, False),
        ({"sessions_of_network": 20, "is_exempt": True}, True),
        ({"sessions_of_network": 20, "is_known": True}, False),
    ],
)
def test_room(changes: dict[str, int], is_welcome: bool) -> None:
    refusal = decide_room(replace(FACTS, **changes))  # type: ignore[arg-type]
    assert (refusal is None) == is_welcome
    if refusal is not None:
        assert refusal.reply.code == 421


def test_crowds_begin_at_four_fifths() -> None:
    assert [is_crowded(number, 10) for number in (7, 8)] == [False, True]


@pytest.mark.parametrize(("limit", "most"), [(64, 32), (256, 224), (1024, 896), (20_000, 17_500), (8, 4)])
def test_descriptors_are_left_for_files(limit: int, most: int) -> None:
    assert descriptors_for_sessions(limit) == most


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("192.0.2.1", "::ffff:192.0.2.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_networks(one: str, other: str, same: bool) -> None:
    assert (prefix_of(one) == prefix_of(other)) == same


@pytest.mark.parametrize(
    ("domain", "own", "expected"),
    [
        ("[192.0.2.25]", "192.0.2.25", True),
        ("[192.0.2.26]", "192.0.2.25", False),
        ("[192.0.2.25]", "::ffff:192.0.2.25", True),
        ("[IPv6:2001:db8::1]", "2001:db8::1", True),
        ("[IPv6:fe80::1]", "fe80::1%eth0", True),
        ("[IPv6:::ffff:192.0.2.25]", "192.0.2.25", True),
        ("192.0.2.25", "192.0.2.25", False),
        ("[192.0.2.25]", "", False),
    ],
)
def test_our_own_literals(domain: str, own: str, expected: bool) -> None:
    assert is_own_literal(domain, own) == expected
