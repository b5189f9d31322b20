"""Which family goes first: as has worked from here, for a while, and never because of one dead host."""

from __future__ import annotations

from shared.transport.families import DOUBT, ENOUGH, Families

BOTH = ["2001:db8::1", "192.0.2.1", "2001:db8::2"]
SIX_LAST = ["192.0.2.1", "2001:db8::1", "2001:db8::2"]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def broken_six(families: Families) -> None:
    for number in range(ENOUGH):
        families.note_failure(f"2001:db8::{number}")
    families.note_success("192.0.2.1")


def test_a_family_that_reaches_nobody_goes_last_and_is_tried_again_after_a_while() -> None:
    clock = Clock()
    families = Families(clock)
    assert list(families.order(BOTH)) == BOTH
    broken_six(families)
    assert list(families.order(BOTH)) == SIX_LAST
    clock.now += DOUBT
    assert list(families.order(BOTH)) == BOTH


def test_one_host_that_is_dead_many_times_says_nothing() -> None:
    families = Families(Clock())
    for _ in range(20):
        families.note_failure("2001:db8::1")
        families.note_success("192.0.2.1")
    assert list(families.order(BOTH)) == BOTH


def test_a_line_that_is_down_doubts_nobody() -> None:
    families = Families(Clock())
    for number in range(9):
        families.note_failure(f"2001:db8::{number}")
        families.note_failure(f"192.0.2.{number}")
    assert list(families.order(BOTH)) == BOTH


def test_a_single_success_clears_it() -> None:
    families = Families(Clock())
    broken_six(families)
    families.note_success("2001:db8::9")
    assert list(families.order(BOTH)) == BOTH
