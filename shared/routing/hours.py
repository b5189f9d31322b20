"""Hours: when a next hop gets mail, as people write it: `22:00-06:00`, `Sat-Sun 00:00-24:00`.

Pure: the moment and the time zone come in as arguments. A span belongs to the day on which it begins. Not here: which
mail waits for them, and which does not (shared/transport/terms.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from shared.mail.record import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*) +)?"
    r"(?P<begin>[0-9]{1,2}:[0-9]{2}) *- *(?P<end>[0-9]{1,2}:[0-9]{2})\Z"
)
_MINUTES = 24 * 60
#  A span comes again within a week; the change of the clocks may hide it once.
_LOOK_AHEAD = 15


@dataclass(frozen=True, slots=True)
class Span:
    """From minute `begin` of each of `days` (0 is Monday) to minute `end`: of the same day, or, when that is not
    later, of the next."""

    begin: int
    end: int
    days: tuple[int, ...] = tuple(range(7))

    def __str__(self) -> str:
        days = "" if len(self.days) == 7 else ",".join(DAYS[day].capitalize() for day in self.days) + " "
        return f"{days}{_clock(self.begin)}-{_clock(self.end)}"


def parse_span(text: str) -> Span:
    """Raises ValueError with a sentence."""
    found = _SPAN.match(text.strip().lower())
    if found is None:
        raise ValueError("write from when to when, like 22:00-06:00 or Mon-Fri 08:00-18:00")
    begin, end = _minutes(found["begin"]), _minutes(found["end"])
    if begin in (_MINUTES, end):
        raise ValueError("it ends where it begins; the whole day is 00:00-24:00")
    return Span(begin, end, _days(found["days"]) if found["days"] else tuple(range(7)))


def opens_in(spans: Sequence[Span], zone: tzinfo | None, now: float) -> float:
    """Seconds until mail may go; 0 when it may now, and when there are no spans. `zone` None: that of the host."""
    if not spans:
        return 0.0
    today = datetime.fromtimestamp(now, zone).date()
    first = float("inf")
    for ahead in range(-1, _LOOK_AHEAD):
        day = today + timedelta(days=ahead)
        for span in spans:
            if day.weekday() not in span.days:
                continue
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            begin = _moment(midnight, span.begin)
            end = _moment(midnight, span.end if span.end > span.begin else span.end + _MINUTES)
            if begin <= now < end:
                return 0.0
            if now < begin < end:
                first = min(first, begin)
        if first < float("inf") and ahead > 0:
            break
    return first - now


def _moment(midnight: datetime, minute: int) -> float:
    """The clock on the wall is meant: on a day with 23 hours 06:00 comes after 5."""
    day = midnight + timedelta(days=minute // _MINUTES)
    return day.replace(hour=minute % _MINUTES // 60, minute=minute % 60).timestamp()


def _days(text: str) -> tuple[int, ...]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"the days are {', '.join(day.capitalize() for day in DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
    return tuple(sorted(days))


def _minutes(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour * 60 + minute > _MINUTES:
        raise ValueError(f"{text} is no time of day")
    return hour * 60 + minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
