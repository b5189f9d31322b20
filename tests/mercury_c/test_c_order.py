"""The order among smarthosts: priority first, then weight."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_c.order import in_order, is_fixed
from shared.routing.next_hop import NextHop

HOPS = st.lists(
    st.builds(
        NextHop,
        st.sampled_from(["a.example", "b.example", "c.example"]),
        st.integers(1, 9),
        priority=st.integers(1, 3),
        weight=st.integers(0, 5),
    ),
    max_size=6,
)


@settings(derandomize=True)
@given(HOPS, st.floats(0, 1, exclude_max=True))
def test_all_are_there_and_the_lowest_priority_comes_first(hops: list[NextHop], chance: float) -> None:
    ordered = in_order(hops, lambda: chance)
    assert sorted(map(repr, ordered)) == sorted(map(repr, hops))
    assert [hop.priority for hop in ordered] == sorted(hop.priority for hop in hops)


@settings(derandomize=True)
@given(HOPS, st.floats(0, 1, exclude_max=True))
def test_where_the_order_is_fixed_chance_changes_nothing(hops: list[NextHop], chance: float) -> None:
    if is_fixed(hops):
        assert in_order(hops, lambda: chance) == hops


def test_the_first_place_is_shared_by_weight() -> None:
    hops = [NextHop("a.example", weight=3), NextHop("b.example", weight=1), NextHop("c.example", weight=0)]
    numbers = random.Random(7)
    first = Counter(in_order(hops, numbers.random)[0].host for _ in range(4000))
    assert 2850 < first["a.example"] < 3150
    assert 850 < first["b.example"] < 1150
    assert first["c.example"] < 50


def test_without_weights_all_are_equal() -> None:
    hops = [NextHop("a.example", weight=0), NextHop("b.example", weight=0)]
    assert [in_order(hops, iter([chance]).__next__)[0].host for chance in (0.1, 0.9)] == ["a.example", "b.example"]
    assert not is_fixed(hops)
