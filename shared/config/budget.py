"""What a next hop takes from us and when (`budget:`, `window:`), and the words that only this needs."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

from shared.config.problem import shown
from shared.config.rate import Frequency
from shared.config.scalars import parse_text, parse_word
from shared.config.setting import Parsed, Setting
from shared.mail.address import Address, AddressError, parse_address
from shared.routing.budget import Over
from shared.routing.hours import Span, parse_span


def parse_hours(value: object) -> Span:
    """22:00-06:00, Mon-Fri 08:00-18:00."""
    if isinstance(value, Span):
        return value
    text = parse_text(value)
    try:
        return parse_span(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)}: {error}")


def parse_zone(value: object) -> tzinfo:
    """A name of the tz database."""
    if isinstance(value, tzinfo):
        return value
    text = parse_text(value)
    from zoneinfo import ZoneInfo  # few sites have a zone of their own

    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{shown(text)} is no time zone that this host knows, like Europe/Berlin or UTC")


def parse_mail_address(value: object) -> Address:
    """A mail address in full, of ASCII."""
    if isinstance(value, Address):
        return value
    text = parse_text(value)
    try:
        address = parse_address(text)
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}; write it in full, like office@isp.example")
    if not address.is_ascii:
        raise ValueError(f"{shown(text)}: an account's address is written in ASCII")
    return address


def parse_percent(value: object) -> int:
    """From 0 to 90: some must be left for the usual mail."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 90:
        return value
    raise ValueError(f"{shown(value)} is no number of percent from 0 to 90")


HoursSpan = Annotated[Span, Parsed(parse_hours)]
TimeZone = Annotated[tzinfo, Parsed(parse_zone)]
MailAddress = Annotated[Address, Parsed(parse_mail_address)]


class BudgetSettings(Setting):
    """How many `messages` and `recipients` it takes in how much time. `reserve`: percent that are left to urgent
    mail. `over`: what mail does that finds it used up."""

    messages: tuple[Frequency, ...] = ()
    recipients: tuple[Frequency, ...] = ()
    reserve: Annotated[int, Parsed(parse_percent)] = 0
    over: Annotated[Over, Parsed(parse_word(Over))] = Over.NEXT
