"""Accounts for the tests of the page, and a clock that is set by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.config.account import Account
from shared.config.passwords import hash_password
from shared.config.web import WebSettings
from shared.mail.address import parse_address

ANNA, BERT, CARL = "anna@hq.example", "bert@hq.example", "carl@hq.example"
PASSWORD = "correct horse"
_HASH = hash_password(PASSWORD, b"0123456789abcdef")


def account(person: str, disabled: bool = False) -> Account:
    return Account(parse_address(person), _HASH, disabled)


@dataclass
class People:
    """`settings` and `known` may be changed; carl has an account and no role."""

    settings: WebSettings = field(
        default_factory=lambda: WebSettings(operators=(ANNA,), viewers=(BERT,), session=3600.0)
    )
    known: dict[str, Account] = field(default_factory=lambda: {name: account(name) for name in (ANNA, BERT, CARL)})
    now: float = 1000.0

    def lookup(self, key: str) -> Account | None:
        return self.known.get(key)

    def clock(self) -> float:
        return self.now
