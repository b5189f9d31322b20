"""The same selection for every verb, and a rehearsal of each that changes something."""

from __future__ import annotations

import json
import time

import pytest
from desk import ARRIVED, Desk

from shared.routing.lane import Lane

ONE, TWO = "7Q2M-K4ZC", "8R3N-L5AD"


def listed(desk: Desk, *options: str) -> set[str]:
    result = desk.run("queue", "list", "--json", *options)
    return {json.loads(line)["id"] for line in result.stdout.splitlines()}


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 4.7.1 greylisted")
    desk.put(TWO, to=("x@other.example",))
    return desk


def test_a_state_tells_what_was_tried_from_what_only_waits(filled: Desk) -> None:
    assert listed(filled, "--state", "deferred") == {ONE}
    assert listed(filled, "--state", "waiting") == {TWO}
    assert listed(filled, "--state", "waiting", "--state", "deferred") == {ONE, TWO}
    assert listed(filled, "--state", "held") == set()


def test_a_reason_is_part_of_the_last_error(filled: Desk) -> None:
    assert listed(filled, "--error", "GREYLISTED") == {ONE}
    assert listed(filled, "--error", "no such thing") == set()


def test_a_site_is_that_of_the_client(filled: Desk) -> None:
    assert listed(filled, "--site", "hq") == {ONE, TWO}
    assert listed(filled, "--site", "branch") == set()


def test_age_and_size_are_read_off_the_name(filled: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: ARRIVED + 3600)
    assert listed(filled, "--older", "30m") == {ONE, TWO}
    assert listed(filled, "--older", "2h") == set()
    assert listed(filled, "--larger", "1") == {ONE, TWO}
    assert listed(filled, "--larger", "1M") == set()
    assert filled.run("queue", "list", "--older", "soon").exit_code == 2


@pytest.mark.parametrize("verb", [("retry",), ("hold",), ("remove", "--reason", "test")])
def test_a_rehearsal_changes_nothing_and_asks_nothing(filled: Desk, verb: tuple[str, ...]) -> None:
    before = sorted(path for path in filled.root.rglob("*") if path.is_file())
    result = filled.run("queue", *verb, "--from", "*", "--dry-run")
    assert result.exit_code == 0
    assert f"{ONE} relay: nothing is done" in result.stdout and TWO in result.stdout
    assert sorted(path for path in filled.root.rglob("*") if path.is_file()) == before


def test_a_rehearsal_alone_selects_nothing(filled: Desk) -> None:
    assert filled.run("queue", "hold", "--dry-run").exit_code == 2
