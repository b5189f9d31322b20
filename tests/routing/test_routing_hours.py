"""Windows of the day and the week, on the clock of a place."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from shared.routing.hours import opens_in, parse_span

BERLIN = ZoneInfo("Europe/Berlin")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("spans", "now", "hours"),
    [
        ([], "2026-11-23 12:00", 0),
        (["22:00-06:00"], "2026-11-23 12:00", 10),
        (["22:00-06:00"], "2026-11-23 23:00", 0),
        (["22:00-06:00"], "2026-11-24 05:59", 0),
        (["22:00-06:00"], "2026-11-24 06:00", 16),
        (["08:00-18:00"], "2026-11-23 07:00", 1),
        (["08:00-10:00", "14:00-15:00"], "2026-11-23 11:00", 3),
        (["00:00-24:00"], "2026-11-23 23:59", 0),
        #  2026-11-23 is a Monday. The span of Friday night ends on Saturday.
        (["Fri 22:00-06:00"], "2026-11-28 05:00", 0),
        (["Fri 22:00-06:00"], "2026-11-28 07:00", 6 * 24 + 15),
        (["Sat-Sun 00:00-24:00"], "2026-11-23 00:00", 5 * 24),
        (["mon,wed 10:00-11:00"], "2026-11-23 12:00", 46),
        (["Sun-Mon 10:00-11:00"], "2026-11-23 09:00", 1),
        #  In the night of 29 March 2026 the clocks go from 02:00 to 03:00: it is an hour shorter.
        (["06:00-07:00"], "2026-03-28 22:00", 7),
        (["22:00-06:00"], "2026-03-29 05:59", 0),
    ],
)
def test_when_it_opens(spans: list[str], now: str, hours: float) -> None:
    assert opens_in([parse_span(text) for text in spans], BERLIN, moment(now)) == hours * 3600


@pytest.mark.parametrize(
    "text", ["", "22-06", "25:00-26:00", "10:00-10:00", "24:00-06:00", "Foo 10:00-11:00", "10:61-11:00"]
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match=" "):
        parse_span(text)


def test_a_span_reads_as_it_was_written() -> None:
    assert str(parse_span("22:00 - 6:00")) == "22:00-06:00"
    assert str(parse_span("sat-sun 00:00-24:00")) == "Sat,Sun 00:00-24:00"
