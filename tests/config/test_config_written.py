"""Values are shown as a person would write them, and mean the same when they are read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.config.listeners import Receive
from shared.config.model import Config
from shared.config.scalars import parse_duration, parse_size
from shared.config.sending import Retry
from shared.config.setting import fields_of
from shared.config.sites import SiteRetry
from shared.config.written import Unit, as_written, unit_of


@given(some.integers(1, 10**14))
def test_a_size_is_read_again_as_it_was(octets: int) -> None:
    assert parse_size(as_written(octets, Unit.SIZE)) == octets
    assert parse_size(as_written(octets << 20, Unit.SIZE)) == octets << 20


@given(some.integers(1, 10 * 366 * 86_400_000))
def test_a_time_is_read_again_as_it_was(thousandths: int) -> None:
    seconds = thousandths / 1000
    assert round(parse_duration(as_written(seconds, Unit.DURATION)), 3) == seconds


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (52428800, Unit.SIZE, "50M"), (52428801, Unit.SIZE, "52428801"), (2**31, Unit.SIZE, "2G"), (0, Unit.SIZE, "0"),
        (300.0, Unit.DURATION, "5m"), (5400, Unit.DURATION, "1h30m"), (0.25, Unit.DURATION, "250ms"),
        ([60.0, 5.0], Unit.DURATION, "1m, 5s"), (2.0, Unit.NONE, "2.0"), (True, Unit.NONE, "true"),
        (None, Unit.SIZE, "none"), ("", Unit.NONE, "none"), ([], Unit.NONE, "[]"), (["a", "b"], Unit.NONE, "a, b"),
    ],
)  # fmt: skip
def test_the_words(value: object, unit: Unit, text: str) -> None:
    assert as_written(value, unit) == text


def test_the_unit_is_found_also_within_lists_and_beside_none() -> None:
    assert unit_of(fields_of(Retry)["first"]) is Unit.DURATION
    assert unit_of(fields_of(SiteRetry)["first"]) is Unit.DURATION
    assert unit_of(fields_of(Receive)["max_message_size"]) is Unit.SIZE
    assert unit_of(fields_of(Config)["hostname"]) is Unit.NONE
