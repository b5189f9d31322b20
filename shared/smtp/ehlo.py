"""What a server offered in its answer to EHLO (RFC 5321 §4.1.1.1), as a client reads it.

Keywords we do not know are kept out of the way; a parameter that makes no sense counts as not given. Not here: what
our own server offers (extensions.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from shared.mail.record import dataclass
from shared.mail.reply import Reply

#  RFC 1870 §3    size-value ::= 1*20DIGIT. Nothing else is a number here: no sign, no other script's digits.
_NUMBER = re.compile(r"[0-9]{1,20}\Z")
#  RFC 9422 §4    LIMITS SP limit-name "=" value ...
_LIMIT = re.compile(r"([A-Z0-9-]+)=([0-9]{1,6})\Z")


@dataclass(frozen=True, slots=True)
class Extensions:
    """`size` is the largest message in octets, 0 when there is no limit or none was said. `limits` is RFC 9422's."""

    keywords: frozenset[str] = frozenset()
    size: int = 0
    auth: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords


NOTHING_OFFERED = Extensions()


def parse_ehlo(reply: Reply) -> Extensions:
    """The extensions in a positive reply to EHLO; its first line is the server's name and greeting."""
    parameters: dict[str, list[str]] = {}
    for line in reply.text.split("\n")[1:]:
        #  "AUTH=LOGIN" is how servers older than RFC 4954 wrote it.
        words = line.upper().replace("AUTH=", "AUTH ", 1).split()
        if words:
            parameters.setdefault(words[0], []).extend(words[1:])
    size = parameters.get("SIZE", [])
    limits = (_LIMIT.match(word) for word in parameters.get("LIMITS", []))
    return Extensions(
        frozenset(parameters),
        int(size[0]) if size and _NUMBER.match(size[0]) else 0,
        tuple(dict.fromkeys(parameters.get("AUTH", []))),
        {found[1]: int(found[2]) for found in limits if found},
    )


def name_in(reply: Reply) -> str:
    """The host name with which a greeting or the answer to EHLO begins, in lower case; empty when there is none."""
    words = reply.text.split(None, 1)
    return words[0].lower().rstrip(".") if words else ""
