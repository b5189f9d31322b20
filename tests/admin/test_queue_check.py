"""`mercury queue check`: what it says, its exit codes, its line in the audit log, and that a look changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

from desk import Desk

from shared.routing.lane import Lane
from shared.state.audit import read_audit

ONE, TWO = "7Q2M-K4ZC", "7Q2M-K9A1"


def test_a_sound_spool_is_0(desk: Desk) -> None:
    desk.put(ONE)
    done = desk.run("queue", "check")
    assert done.exit_code == 0 and "is sound" in done.stdout
    assert desk.run("queue", "check", "--json").stdout == ""


def test_a_look_changes_nothing_and_a_repair_is_kept_in_the_audit_log(
    desk: Desk, tree: Callable[[], dict[str, float]]
) -> None:
    name = desk.put(ONE)
    desk.put(TWO, to=("boss@partner.example",))
    (desk.spool.folder(Lane.RELAY) / "new" / name).write_bytes(b"")
    before = tree()
    told = desk.run("queue", "check", "--json")
    assert told.exit_code == 1 and tree() == before
    (finding,) = [json.loads(line) for line in told.stdout.splitlines()]
    assert finding["path"] == f".relay/new/{name}" and finding["done"] == ""
    assert not (desk.root / "state/audit.jsonl").exists()
    done = desk.run("queue", "check", "--repair")
    assert done.exit_code == 0 and "set aside in corrupt/" in done.stdout and "1 mended, 0 left" in done.stdout
    first, second = read_audit(desk.root / "state")
    assert (first["verb"], first["step"], type(first["uid"])) == ("check --repair", "begins", int)
    assert second["act"] == first["act"] and second["entries"][0]["path"] == f".relay/new/{name}"
    assert desk.run("queue", "check").exit_code == 0
    assert len(desk.names(Lane.RELAY)) == 1
    assert list(desk.spool.owners.iterdir()) == []


def test_what_it_shows_is_escaped(desk: Desk) -> None:
    (desk.spool.folder(Lane.RELAY) / "new" / "evil\x1b[2J\n").write_bytes(b"")
    text = desk.run("queue", "check").stdout
    assert "\x1b" not in text and "evil\\x1b[2J" in text


def test_remains_of_any_age_are_taken_away_when_that_is_said(desk: Desk) -> None:
    remains = desk.spool.folder(Lane.RELAY) / "tmp" / "half"
    remains.write_bytes(b"half a message")
    assert desk.run("queue", "check", "--repair").exit_code == 0 and remains.exists()
    assert desk.run("queue", "check", "--repair", "--leftovers-after", "0s").exit_code == 0
    assert not remains.exists()
