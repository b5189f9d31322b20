"""The circuit of a site on `auto`: it opens on proof, closes on proof and time, and never goes back and forth."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mercury_e.breaker import RELAPSE, Circuit, Rules, Verdict, judge_round, stay_of, step
from shared.vantage.knock import Finding, Knock

RULES = Rules(bad_rounds=3, good_rounds=3, stay=900.0)
BAD, GOOD, UNCLEAR = Verdict.BLOCKED, Verdict.OPEN, Verdict.UNCLEAR


def knocks(*findings: Finding) -> list[Knock]:
    return [Knock(f"mx{number}", finding) for number, finding in enumerate(findings)]


def run(circuit: Circuit, verdicts: list[Verdict], start: float, apart: float = 20.0) -> tuple[Circuit, float]:
    now = start
    for verdict in verdicts:
        circuit = step(circuit, verdict, now, RULES)
        now += apart
    return circuit, now


@pytest.mark.parametrize("other", list(Finding))
def test_one_host_that_answers_shows_that_only_the_other_is_down(other: Finding) -> None:
    assert judge_round(knocks(other, other, Finding.ANSWERS), relay_answers=True) is GOOD
    assert judge_round(knocks(Finding.ANSWERS, other), relay_answers=False) is GOOD


@pytest.mark.parametrize("finding", [Finding.SILENT, Finding.REFUSED, Finding.NO_WAY, Finding.MUTE])
def test_nobody_answers_but_the_relay_does_so_the_port_is_blocked(finding: Finding) -> None:
    assert judge_round(knocks(finding, finding, finding), relay_answers=True) is BAD
    assert judge_round(knocks(finding, finding, finding), relay_answers=False) is UNCLEAR


def test_a_host_without_an_address_is_no_witness() -> None:
    assert judge_round(knocks(Finding.NO_ADDRESS, Finding.NO_ADDRESS), relay_answers=True) is UNCLEAR
    assert judge_round(knocks(Finding.NO_ADDRESS, Finding.SILENT), relay_answers=True) is UNCLEAR
    assert judge_round(knocks(Finding.NO_ADDRESS, Finding.SILENT, Finding.SILENT), relay_answers=True) is BAD


def test_three_bad_rounds_in_a_row_open_it_and_two_do_not() -> None:
    assert not run(Circuit(), [BAD, BAD], 1000)[0].is_relaying
    assert not run(Circuit(), [BAD, BAD, GOOD, BAD, BAD], 1000)[0].is_relaying
    circuit, _ = run(Circuit(), [BAD, UNCLEAR, BAD, UNCLEAR, BAD], 1000)
    assert circuit.is_relaying and circuit.since == 1080


def test_good_rounds_alone_do_not_close_it_before_its_time() -> None:
    circuit, now = run(Circuit(), [BAD] * 3, 1000)
    circuit, now = run(circuit, [GOOD] * 10, now)
    assert circuit.is_relaying
    assert not step(circuit, GOOD, circuit.since + RULES.stay, RULES).is_relaying


def test_time_alone_does_not_close_it_either() -> None:
    circuit, now = run(Circuit(), [BAD] * 3, 1000)
    circuit, now = run(circuit, [BAD, UNCLEAR, GOOD, GOOD, BAD, GOOD, GOOD], now + 86400)
    assert circuit.is_relaying


def test_each_relapse_within_a_day_doubles_the_stay() -> None:
    circuit, now, stays = Circuit(), 1000.0, []
    for _ in range(7):
        circuit, now = run(circuit, [BAD] * 3, now)
        stays.append(stay_of(circuit, RULES))
        now = circuit.since + stays[-1]
        circuit, now = run(circuit, [GOOD] * 3, now)
        assert not circuit.is_relaying
    assert stays == [900, 1800, 3600, 7200, 14400, 14400, 14400]
    circuit, _ = run(circuit, [BAD] * 3, now + RELAPSE)
    assert stay_of(circuit, RULES) == 900


def test_a_clock_that_was_ahead_keeps_nothing_on_the_relay() -> None:
    circuit = Circuit(is_relaying=True, since=1e10)
    circuit, _ = run(circuit, [GOOD] * 3, 1000.0, apart=450)
    assert not circuit.is_relaying


def test_it_is_looked_at_soon_while_rounds_are_missing_and_not_for_hours() -> None:
    assert not Circuit().is_in_doubt(RULES)
    assert Circuit(bad=1).is_in_doubt(RULES)
    assert not Circuit(is_relaying=True).is_in_doubt(RULES)
    assert Circuit(is_relaying=True, good=2).is_in_doubt(RULES)
    assert not Circuit(is_relaying=True, good=3).is_in_doubt(RULES)


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.floats(1, 4000)), max_size=300))
def test_it_never_flaps(rounds: list[tuple[Verdict, float]]) -> None:
    """Whatever the rounds say: each change has its proof, and a way back takes at least the stay."""
    circuit, now, changes = Circuit(), 1_000_000.0, []
    seen: list[Verdict] = []
    for verdict, passed in rounds:
        now += passed
        seen.append(verdict)
        after = step(circuit, verdict, now, RULES)
        if after.is_relaying != circuit.is_relaying:
            clear = [one for one in seen if one is not UNCLEAR]
            assert clear[-3:] == [BAD if after.is_relaying else GOOD] * 3
            changes.append((now, after.is_relaying))
            seen = []
        circuit = after
    for (before, _), (later, is_relaying) in pairwise(changes):
        if not is_relaying:
            assert later - before >= RULES.stay
