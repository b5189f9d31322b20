"""Rates as an operator writes them."""

from __future__ import annotations

import pytest

from shared.config.rate import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/1m", Rate(60, 60.0)),
        ("1000/1h", Rate(1000, 3600.0)),
        ("5/s", Rate(5, 1.0)),
        ("5 / 1h30m", Rate(5, 5400.0)),
    ],
)
def test_rates(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "value", ["60", 60, "0/1m", "60/0s", "60/1x", "-1/1m", "1.5/1m", "60/1m/1m", None, True, "٣/1m"]
)
def test_what_is_no_rate(value: object) -> None:
    with pytest.raises(ValueError):
        parse_rate(value)
