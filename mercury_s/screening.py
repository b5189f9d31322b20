"""One session before the transaction filters: asks them at each moment and remembers what follows from the answers.

Here: the order of the phases, what a refusal or a skip covers, the lines in the log. Not here: which filter matches
(policy/filters.py), what the peer is told and when (session.py). A session that no filter is about has none of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from mercury_s.encoded_word import decode_words
from mercury_s.policy.filters import LONGEST_TEXT, Action, Chains, Filter, Phase, decide_filters
from mercury_s.policy.verdict import Refuse
from mercury_s.porter import Porter
from shared.mail.address import Address
from shared.mail.field import split_fields
from shared.observe import events
from shared.observe.log import log

#  Of a field, before its encoded words are decoded; what is compared of it is shorter still.
_LONGEST_FIELD = 4 * LONGEST_TEXT


class Screening:
    """`address` is the client's. Each question is answered with a refusal, or None when nothing speaks against it."""

    def __init__(self, chains: Chains, address: str, porter: Porter) -> None:
        self._chains = chains
        self._address = address
        self._porter = porter
        self._refusal: Refuse | None = None  #  of everything until the session ends
        self._refusal_of_rest: Refuse | None = None  #  of further recipients of this message
        self._skips_session = False
        self._skips_message = False

    def ask_hello(self, name: str) -> Refuse | None:
        self._skips_session = False
        return self._refusal or self._ask(Phase.HELO, [name])

    def ask_sender(self, helo: str, sender: Address | None, is_logged_in: bool) -> Refuse | None:
        self._skips_message = False
        self._refusal_of_rest = None
        if self._refusal is not None:
            return self._refusal
        if not is_logged_in and (refusal := self._ask(Phase.DEFERRED_HELO, [helo])):
            return refusal
        return self._ask(Phase.MAIL, [str(sender) if sender else "<>"])

    def ask_recipient(self, recipient: Address) -> Refuse | None:
        return self._refusal_of_rest or self._ask(Phase.RCPT, [str(recipient)])

    def ask_header(self, header: bytes) -> Refuse | None:
        """`header` is the whole header section; taken apart only if a filter is about it."""
        if self._skips_session or self._skips_message:
            return None
        if Phase.SUBJECT not in self._chains and Phase.HEADER not in self._chains:
            return None
        fields = [(field.name, decode_words(field.value[:_LONGEST_FIELD])) for field in split_fields(header)]
        subjects = [value for name, value in fields if name == b"subject"] or [""]
        if refusal := self._ask(Phase.SUBJECT, subjects):
            return refusal
        return self._ask(Phase.HEADER, [f"{name.decode('latin-1')}: {value}" for name, value in fields])

    def _ask(self, phase: Phase, texts: Sequence[str]) -> Refuse | None:
        chain = self._chains.get(phase)
        if not chain or self._skips_session or self._skips_message:
            return None
        finding = decide_filters(chain, texts)
        for logged in finding.logged:
            self._log(logged, texts)
        rule = finding.deciding
        if rule is None:
            return None
        self._log(rule, texts)
        if rule.action is Action.SKIP_ALL:
            self._skip(phase)
        if rule.refusal is not None:
            self._remember(rule, rule.refusal)
        return rule.refusal

    def _skip(self, phase: Phase) -> None:
        if phase in (Phase.HELO, Phase.DEFERRED_HELO):
            self._skips_session = True
        else:
            self._skips_message = True

    def _remember(self, rule: Filter, refusal: Refuse) -> None:
        if rule.action is Action.REFUSE and rule.phase is Phase.RCPT:
            self._refusal_of_rest = refusal
        elif rule.action is Action.REFUSE:
            self._refusal = refusal
        elif rule.action is Action.BLACKLIST:
            self._porter.ban(self._address, refusal.reason, self._porter.seconds)

    def _log(self, rule: Filter, texts: Sequence[str]) -> None:
        text = next((text for text in texts if rule.pattern.search(text, 0, LONGEST_TEXT)), "")
        log.event(
            events.FILTER_MATCHED,
            client=self._address,
            rule=rule.source,
            on=rule.phase,
            action=rule.action,
            text=text,
        )
