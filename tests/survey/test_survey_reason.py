"""Replies that mean the same are one reason, others are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.survey.ages import BOUNDS, LABELS, step_of
from shared.survey.reason import LONGEST, group_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("451 4.7.1 Greylisted, try again in 300 seconds", "451 4.7.1 Greylisted, try again in 12 seconds"),
        ("450 4.2.2 <a@x.example>: over quota", "450 4.2.2 <b@y.example>: over quota"),
        ("451 4.4.1 10.0.0.1[10.0.0.1]:25 cannot be reached", "451 4.4.1 10.0.0.2[10.0.0.2]:587 cannot be reached"),
        (
            "421 4.7.0 see https://a.example/x?t=1 (ticket ab12-3)",
            "421 4.7.0 see https://b.example/y (ticket cd45-6)",
        ),
    ],
)
def test_names_numbers_and_times_make_no_difference(one: str, other: str) -> None:
    assert group_of(one) == group_of(other) != ""


def test_codes_and_words_make_one() -> None:
    said = ["451 4.7.1 Greylisted", "450 4.7.1 Greylisted", "451 4.7.0 Greylisted", "451 4.7.1 Too many messages", ""]
    assert len({group_of(text) for text in said}) == len(said)


@given(st.text())
def test_whatever_is_said_is_short_and_printable(text: str) -> None:
    group = group_of(text)
    assert len(group) <= LONGEST and group.isprintable() and group_of("") == ""


def test_every_age_has_its_step() -> None:
    assert [step_of(bound) for bound in (-5.0, 0.0, *BOUNDS, 1e9)] == [0, 0, 1, 2, 3, 4, 5, 6, 6]
    assert len(LABELS) == len(BOUNDS) + 1
