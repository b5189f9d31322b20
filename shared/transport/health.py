"""How the smarthosts are, as a carrier sees it: who is passed over, and what the book of hops says of whom.

Not here: probes of those that are ill (infirmary.py), the book itself (steward.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shared.routing.next_hop import NextHop
from shared.transport.back_off import BackOff
from shared.transport.connection import SmtpConnection
from shared.transport.dial import Unreached
from shared.transport.infirmary import Infirmary, words_of
from shared.transport.steward import Steward


class Health:
    """A hop that fails where there are others is passed over until a probe has found it well."""

    def __init__(
        self,
        reactor: Any,
        dial: Callable[[NextHop], Awaitable[SmtpConnection | Unreached]],
        back_off: BackOff[NextHop, Unreached],
        steward: Steward | None,
    ) -> None:
        self._infirmary = Infirmary(reactor, dial, self._note_recovered)
        self._back_off = back_off
        self._steward = steward
        #  As the book has it: those that had trouble when mail was last given to them.
        self._unwell: set[NextHop] = set()

    def in_turn(self, hops: Sequence[NextHop], passed_over: list[Unreached]) -> Sequence[NextHop]:
        """Those that are known to be ill come last: they are better than nothing. `passed_over` hears why."""
        if not self._infirmary or len(hops) == 1:
            return hops
        ill: list[NextHop] = []
        for hop in hops:
            if (trouble := self._infirmary.why_not(hop)) is not None:
                ill.append(hop)
                passed_over.append(trouble)
        if len(ill) == len(hops):
            passed_over.clear()
        return [*(hop for hop in hops if hop not in ill), *ill] if ill else hops

    def note(self, hop: NextHop, trouble: Unreached | None, has_others: bool) -> None:
        """What came of giving it a message; None: it took or refused it."""
        if trouble is None:
            if self._infirmary:
                self._infirmary.discharge(hop)
            if self._unwell:
                self._note_recovered(hop)
            return
        if self._steward is not None:
            self._unwell.add(hop)
            self._steward.note_health(hop, words_of(trouble))
        if has_others:
            self._infirmary.admit(hop, trouble)

    def close(self) -> None:
        self._infirmary.close()

    def _note_recovered(self, hop: NextHop) -> None:
        self._back_off.note_success(hop)
        self._unwell.discard(hop)
        if self._steward is not None and self._steward.is_unwell(hop):
            self._steward.note_health(hop, "")
