"""When a site on `auto` leaves direct delivery for the relay, and when it comes back. Pure; the time comes in.

    knocks at several hosts + does the relay answer  →  a verdict on this place  →  a step of the circuit of a site

One host that answers shows that port 25 is open; that nobody answers shows that it is blocked only if the network is
there at all, which the site's own smarthost proves. Rounds that show neither change nothing. Not here: the knocking
(shared/vantage/probe.py), where a circuit is kept and who hears of it (lookout.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from shared.mail.record import dataclass
from shared.vantage.knock import Finding, Knock

#  A site that relays again so soon after it was direct has relapsed: it stays twice as long as the last time.
RELAPSE = 86400.0
#  But never longer than this, unless `stay` itself is.
LONGEST_STAY = 4 * 3600.0
#  A host that has no address here says nothing about the port, and one alone may be down.
FEWEST_KNOCKS = 2


class Verdict(StrEnum):
    OPEN = "open"
    BLOCKED = "blocked"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Rules:
    """Rounds in a row, and seconds."""

    bad_rounds: int = 3
    good_rounds: int = 3
    stay: float = 900.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """`since`: Unix time of the last change, 0 before the first. `bad` and `good`: rounds in a row. `relapses`: how
    often in a row it relayed within RELAPSE of having been direct again."""

    is_relaying: bool = False
    since: float = 0.0
    bad: int = 0
    good: int = 0
    relapses: int = 0

    def is_in_doubt(self, rules: Rules) -> bool:
        """The last round spoke against where it stands, and more are needed: look again soon."""
        return 0 < self.good < rules.good_rounds if self.is_relaying else self.bad > 0


def judge_round(knocks: Sequence[Knock], relay_answers: bool) -> Verdict:
    """What a round says about port 25 from here; `relay_answers`: a smarthost of the site takes connections."""
    if any(knock.finding is Finding.ANSWERS for knock in knocks):
        return Verdict.OPEN
    heard = [knock for knock in knocks if knock.finding is not Finding.NO_ADDRESS]
    if relay_answers and len(heard) >= FEWEST_KNOCKS:
        return Verdict.BLOCKED
    return Verdict.UNCLEAR


def step(circuit: Circuit, verdict: Verdict, now: float, rules: Rules) -> Circuit:
    """The circuit after one more round."""
    if circuit.since > now:
        circuit = replace(circuit, since=now)  #  the clock was ahead; nothing may last until it is there again
    if verdict is Verdict.UNCLEAR:
        return circuit
    if circuit.is_relaying:
        return _step_back(circuit, verdict, now, rules)
    return _step_away(circuit, verdict, now, rules)


def _step_away(circuit: Circuit, verdict: Verdict, now: float, rules: Rules) -> Circuit:
    if verdict is Verdict.OPEN:
        return replace(circuit, bad=0)
    if circuit.bad + 1 < rules.bad_rounds:
        return replace(circuit, bad=circuit.bad + 1)
    is_relapse = circuit.since > 0 and now - circuit.since < RELAPSE
    return Circuit(True, now, relapses=circuit.relapses + 1 if is_relapse else 0)


def _step_back(circuit: Circuit, verdict: Verdict, now: float, rules: Rules) -> Circuit:
    if verdict is Verdict.BLOCKED:
        return replace(circuit, good=0)
    if circuit.good + 1 >= rules.good_rounds and now - circuit.since >= stay_of(circuit, rules):
        return Circuit(False, now, relapses=circuit.relapses)
    return replace(circuit, good=min(circuit.good + 1, rules.good_rounds))


def stay_of(circuit: Circuit, rules: Rules) -> float:
    """Seconds that a circuit relays at least."""
    return min(rules.stay * 2.0 ** min(circuit.relapses, 20), max(LONGEST_STAY, rules.stay))
