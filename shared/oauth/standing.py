"""Pure: how an OAuth account stands, in a word for machines and a line for people; for `mercury status`."""

from __future__ import annotations

from enum import StrEnum

from shared.config.oauth import OAuth
from shared.mail.record import dataclass
from shared.oauth.token_file import Kept


class Word(StrEnum):
    """GOOD: there is a token. ABSENT: there never was one. WAITING: there is none for now, and it is asked for again.
    LOST: a person must log in again, or change what is configured."""

    GOOD = "good"
    ABSENT = "absent"
    WAITING = "waiting"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Standing:
    word: Word
    text: str


def standing_of(name: str, settings: OAuth, kept: Kept, now: float) -> Standing:
    remedy = f"run 'mercury login {name}'"
    if kept.is_lost:
        return Standing(Word.LOST, f"no token: {kept.trouble}; {remedy}")
    if kept.token and now < kept.expires:
        trouble = f"; the last attempt to renew it failed: {kept.trouble}" if kept.trouble else ""
        return Standing(Word.GOOD, f"token good for {_span(kept.expires - now)}{trouble}")
    if kept.trouble:
        return Standing(Word.WAITING, f"no token for now: {kept.trouble}")
    if kept.refresh_token:
        return Standing(Word.WAITING, "the token has expired; MercuryC renews it")
    if settings.grant.needs_person:
        return Standing(Word.ABSENT, f"nobody has logged in: {remedy}")
    return Standing(Word.ABSENT, "no token yet: MercuryC fetches it")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
