"""The transaction filters: what a client says, against what the operator wrote (`receive.filters`).

Here: which filter acts on a text, and what follows from it. Not here: how filters are written
(shared/config/filters.py) and what has become of a session's earlier filters (mercury_s/screening.py). Compiled once;
asked only of clients that some filter is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from mercury_s.policy.client import IpNetwork, is_in, parse_client
from mercury_s.policy.verdict import Manner, Refuse
from shared.mail.record import dataclass
from shared.mail.reply import Reply

#  Of what a stranger wrote, so much is compared: an expression's time grows with it.
LONGEST_TEXT = 4096


class Phase(StrEnum):
    """The moments at which filters are asked."""

    HELO = "helo"
    DEFERRED_HELO = "deferred_helo"
    MAIL = "mail"
    RCPT = "rcpt"
    SUBJECT = "subject"
    HEADER = "header"


class Action(StrEnum):
    """The verbs. Those of `_MANNER` refuse."""

    REFUSE = "refuse"
    FAIL = "fail"
    DROP = "drop"
    REPLY_DROP = "reply_drop"
    BLACKLIST = "blacklist"
    LOG = "log"
    SKIP_PHASE = "skip_phase"
    SKIP_ALL = "skip_all"


_MANNER = {
    Action.REFUSE: Manner.REPLY,
    Action.FAIL: Manner.REPLY,
    Action.DROP: Manner.SILENCE,
    Action.REPLY_DROP: Manner.CLOSE,
    Action.BLACKLIST: Manner.CLOSE,
}
_REPLIES = {
    Phase.HELO: "Clients that call themselves what you do are not welcome here",
    Phase.DEFERRED_HELO: "Clients that call themselves what you do must log in here",
    Phase.MAIL: "Mail from that sender is not taken here",
    Phase.RCPT: "Mail to that recipient is not taken from you",
    Phase.SUBJECT: "Mail with that subject is not taken here",
    Phase.HEADER: "A field of the message's header says something that is not taken here",
}


class FilterRule(Protocol):
    """A filter as the configuration has it; `networks` empty: for every client."""

    @property
    def on(self) -> str: ...
    @property
    def pattern(self) -> re.Pattern[str]: ...
    @property
    def action(self) -> str: ...
    @property
    def networks(self) -> tuple[IpNetwork, ...]: ...
    @property
    def reply(self) -> Reply | None: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter, ready: what refuses knows its refusal."""

    phase: Phase
    pattern: re.Pattern[str]
    action: Action
    networks: tuple[IpNetwork, ...]
    source: str
    refusal: Refuse | None


Chains = Mapping[Phase, Sequence[Filter]]
"""The filters for one client, in order, by phase; phases without any are left out."""


class Filters:
    """All filters of the configuration."""

    def __init__(self, rules: Sequence[FilterRule]) -> None:
        self._filters = tuple(_compile(rule) for rule in rules)
        self._for_all = None if any(rule.networks for rule in self._filters) else _chains(self._filters)

    def for_client(self, address: str) -> Chains:
        if self._for_all is not None:
            return self._for_all
        client = parse_client(address)
        return _chains([rule for rule in self._filters if not rule.networks or is_in(client, rule.networks)])


@dataclass(frozen=True, slots=True)
class Finding:
    """`deciding` is the filter that decides, None if none does; `logged` those before it that only want a line."""

    deciding: Filter | None
    logged: tuple[Filter, ...] = ()


NOTHING = Finding(None)


def decide_filters(chain: Sequence[Filter], texts: Sequence[str]) -> Finding:
    """The first filter that matches any of `texts` and does more than log."""
    logged: list[Filter] = []
    for rule in chain:
        search = rule.pattern.search
        if any(search(text, 0, LONGEST_TEXT) for text in texts):
            if rule.action is not Action.LOG:
                return Finding(rule, tuple(logged))
            logged.append(rule)
    return Finding(None, tuple(logged)) if logged else NOTHING


def _compile(rule: FilterRule) -> Filter:
    phase, action = Phase(rule.on), Action(rule.action)
    manner = _MANNER.get(action)
    refusal = None
    if manner is not None:
        reply = rule.reply or Reply(550, "5.7.1", _REPLIES[phase])
        refusal = Refuse(reply, f"filter {rule.source or phase} says {action}", manner)
    return Filter(phase, rule.pattern, action, rule.networks, rule.source, refusal)


def _chains(filters: Sequence[Filter]) -> Chains:
    chains: dict[Phase, list[Filter]] = {}
    for rule in filters:
        chains.setdefault(rule.phase, []).append(rule)
    return {phase: tuple(chain) for phase, chain in chains.items()}
