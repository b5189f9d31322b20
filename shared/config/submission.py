"""What mail of our own people may say about its sender (`receive.submission`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from shared.config.problem import shown
from shared.config.scalars import Pattern, Several, parse_text, parse_word
from shared.config.setting import Parsed, Setting
from shared.mail.address import AddressError, parse_address


class Binding(StrEnum):
    """What is done with an address that is not the login's. REFUSE: 550. REWRITE: the login's own takes its place.
    ANY: nothing."""

    REFUSE = "refuse"
    REWRITE = "rewrite"
    ANY = "any"


def parse_login(value: object) -> str:
    """A login in full, as accounts are looked up by."""
    text = parse_text(value)
    try:
        return parse_address(text).key
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}; write the login in full, like anna@example.org")


class SenderRight(Setting):
    """Addresses that a login may send from besides its own, in the patterns of routes."""

    login: Annotated[str, Parsed(parse_login)]
    addresses: Several[Pattern]


class SubmissionSettings(Setting):
    """`sender` is about MAIL FROM, `header_from` about the From field."""

    sender: Annotated[Binding, Parsed(parse_word(Binding))] = Binding.REFUSE
    header_from: Annotated[Binding, Parsed(parse_word(Binding))] = Binding.ANY
    senders: tuple[SenderRight, ...] = ()
