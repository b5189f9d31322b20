"""The transaction filters of MercuryS (`receive.filters`): as they are written, checked and compiled.

Here: the words and what goes with what. Not here: what a filter does (mercury_s/policy/filters.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

from shared.config.match import Match, parse_match
from shared.config.problem import Problem, shown
from shared.config.scalars import Network, Several, parse_text, parse_word
from shared.config.setting import Parsed, Setting
from shared.mail.reply import Reply

_REPLY = re.compile(r"([0-9]{3}) (?:([0-9]\.[0-9]{1,3}\.[0-9]{1,3}) )?(\S.*)\Z")
_LONGEST_REPLY = 400  #  characters


class FilterPhase(StrEnum):
    """What a filter looks at. DEFERRED_HELO: the HELO name at MAIL, of clients who have not logged in."""

    HELO = "helo"
    DEFERRED_HELO = "deferred_helo"
    MAIL = "mail"
    RCPT = "rcpt"
    SUBJECT = "subject"
    HEADER = "header"


class FilterAction(StrEnum):
    """What happens when it matches; docs/configuration.md has a table."""

    REFUSE = "refuse"
    FAIL = "fail"
    DROP = "drop"
    REPLY_DROP = "reply_drop"
    LOG = "log"
    SKIP_PHASE = "skip_phase"
    SKIP_ALL = "skip_all"
    BLACKLIST = "blacklist"


SPEAKING = (FilterAction.REFUSE, FilterAction.FAIL, FilterAction.REPLY_DROP, FilterAction.BLACKLIST)


def parse_reply(value: object) -> Reply:
    """`550 5.7.1 Text`; without the enhanced code it is 4.7.1 or 5.7.1."""
    if isinstance(value, Reply):
        return value
    text = parse_text(value)
    found = _REPLY.match(text)
    if not found:
        raise ValueError(
            f"{shown(text)} is no reply: write code, enhanced code and text, like '550 5.7.1 No, thanks'"
        )
    code, enhanced, words = int(found[1]), found[2], found[3]
    if not 400 <= code <= 599 or found[1][1] not in "012345":
        raise ValueError(f"{code} is no code for a refusal: 4xx means later, 5xx means never")
    if code == 421:
        raise ValueError("421 says that the connection is closed: use another code with 'action: reply_drop'")
    if not words.isascii() or len(text) > _LONGEST_REPLY:
        raise ValueError(f"a reply is at most {_LONGEST_REPLY} characters of ASCII")
    return Reply(code, enhanced or f"{found[1][0]}.7.1", words)


class Filter(Setting):
    """One filter; `networks` empty: whatever the client. `source` is where it stands, `file:line`."""

    on: Annotated[FilterPhase, Parsed(parse_word(FilterPhase))]
    match: Annotated[Match, Parsed(parse_match)]
    action: Annotated[FilterAction, Parsed(parse_word(FilterAction))]
    networks: Several[Network] = ()
    reply: Annotated[Reply, Parsed(parse_reply)] | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        return self.match.pattern


def check_filters(filters: Iterable[Filter]) -> Iterator[Problem]:
    """A reply only where one is given."""
    for rule in filters:
        if rule.reply is not None and rule.action not in SPEAKING:
            text = f"'action: {rule.action}' says nothing to the client: leave 'reply' away"
            yield rule.origin.problem(text, "reply")
