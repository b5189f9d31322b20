"""The word of a site that is in force: what the operator said for now, else what the configuration says.

Pure; the time comes in. `auto` comes to direct or relay by what is known of port 25. Not here: where orders and
findings are kept (shared/state/site_words.py), how port 25 is watched (mercury_e/breaker.py).
"""

from __future__ import annotations

from shared.mail.record import dataclass
from shared.routing.site import Delivery, SiteWord


@dataclass(frozen=True, slots=True)
class Order:
    """`mercury site set`: `until` is Unix time, None means until further notice. `by` is who said it."""

    word: SiteWord
    since: float
    until: float | None = None
    reason: str = ""
    by: str = ""

    def is_over(self, now: float) -> bool:
        return self.until is not None and now >= self.until


@dataclass(frozen=True, slots=True)
class Detour:
    """A site that is on `auto` relays, since then and for this reason."""

    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class WordInForce:
    """`why` is empty when it is simply the word of the configuration."""

    delivery: Delivery
    why: str = ""


def spoken_word(configured: SiteWord, order: Order | None) -> SiteWord:
    """What was said last; `order` one that is not over, or None."""
    return order.word if order else configured


def word_in_force(configured: SiteWord, order: Order | None, detour: Detour | None) -> WordInForce:
    """What it comes to; `order` one that is not over."""
    whys = []
    if order is not None:
        whys.append(f"set by hand{': ' + order.reason if order.reason else ''}")
    word = spoken_word(configured, order)
    if word is not SiteWord.AUTO:
        return WordInForce(Delivery(word), "; ".join(whys))
    whys.insert(0, f"auto: {detour.reason}" if detour else "auto")
    return WordInForce(Delivery.RELAY if detour else Delivery.DIRECT, "; ".join(whys))
