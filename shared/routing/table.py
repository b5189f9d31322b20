"""The routing table: which domains are ours, the sites, and the exceptions from a site's word.

Here: the values and the grammar of a pattern. Not here: the decision (decide.py) and where the values come from
(shared/config/routing.py). Domains are A-labels in lower case throughout (Address.ascii_domain), so that a domain
written in Unicode here meets the same domain written in Punycode on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from shared.mail.address import Address, AddressError, parse_address, parse_domain, to_ascii
from shared.mail.record import dataclass
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site

EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class RouteRule:
    """An exception for the recipients that match one of the patterns in `to` (see parse_pattern).

    `via` sends them to that hop; otherwise `deliver` takes the place of the site's word. `tls` is what MercuryE shall
    demand when they go direct, and `pins` the keys that are meant by `tls: pin`. `source` is `file:line`, for people;
    rules that differ only there are the same rule. `site` is whose domains they are, when it is the
    overlay of a site.
    """

    to: tuple[str, ...]
    deliver: Delivery | None = None
    via: NextHop | None = None
    tls: Tls | None = None
    pins: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    site: str = field(default="", compare=False)


@dataclass(frozen=True)
class RoutingTable:
    """`here` is the site of this host: for mail born here, and for mail whose site is no longer known."""

    hostname: str
    local_domains: frozenset[str]
    sites: Mapping[str, Site] = field(default_factory=dict)
    here: str = ""
    rules: tuple[RouteRule, ...] = ()

    @cached_property
    def known_ways(self) -> dict[str, Any]:
        """Where decide.py keeps what the word of a site comes to: it is the same for all mail without a rule."""
        return {}

    @cached_property
    def first_rule_of(self) -> Mapping[str, int]:
        """Pattern → number of the first rule that names it: a look-up costs the labels of a domain, not the rules."""
        first: dict[str, int] = {}
        for number, rule in enumerate(self.rules):
            for pattern in rule.to:
                first.setdefault(pattern, number)
        return first


def parse_pattern(text: str) -> str:
    """The pattern in `text`, canonical: `*`, `*.domain`, `domain` (or an address literal) or `user@domain`.

    `*.domain` means what lies below the domain, not the domain itself. Raises AddressError.
    """
    if text == EVERYONE:
        return text
    if text.startswith("*."):
        if text[2:].startswith("["):
            raise AddressError("nothing lies below an address literal")
        return "*." + to_ascii(parse_domain(text[2:]))
    if "*" in text:
        raise AddressError("a star stands alone or for the first labels: '*' or '*.example.org'")
    if "@" in text:
        return parse_address(text).key
    return to_ascii(parse_domain(text))


def patterns_of(recipient: Address) -> list[str]:
    """Every pattern that `recipient` matches, the narrowest first."""
    domain = recipient.ascii_domain
    found = [recipient.key, domain]
    if not recipient.is_literal:
        at = domain.find(".")
        while at >= 0:
            found.append("*" + domain[at:])
            at = domain.find(".", at + 1)
    found.append(EVERYONE)
    return found
