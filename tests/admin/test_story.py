"""The story of a message: complete, in order, each step once, and readable."""

from __future__ import annotations

import json

from desk import ARRIVED, Desk

from shared.admin.steps import line_of
from shared.history.search import History
from shared.routing.lane import Lane
from shared.survey.story import tell

ONE = "7Q2M-K4ZC"


def history(desk: Desk) -> History:
    return History(desk.root / "state" / "history", desk.root / "state" / "events")


def record(desk: Desk, file: str, at: float, event: str, daemon: str = "mercury-c", **fields: object) -> None:
    folder = desk.root / "state" / "events"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / file).open("a") as out:
        line = {"at": at, "daemon": daemon, "event": event, "id": ONE} | fields
        out.write(json.dumps(line, separators=(",", ":")) + "\n")


def test_a_finished_message_is_told_from_the_events(desk: Desk) -> None:
    record(desk, "mercury-c.jsonl", ARRIVED + 2, "recipient-delivered", recipient="joe@x.example", host="smtp:25")
    record(desk, "mercury-s.jsonl.1", ARRIVED, "message-accepted", "mercury-s", client="192.0.2.1")
    record(desk, "mercury-s.jsonl", ARRIVED + 1, "message-accepted", "mercury-s", id="0000-0000")
    steps = tell(desk.spool, history(desk), ONE)
    assert [(step.daemon, step.event) for step in steps] == [
        ("mercury-s", "message-accepted"),
        ("mercury-c", "recipient-delivered"),
    ]


def test_an_attempt_in_both_is_told_once(desk: Desk) -> None:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 later", "451 later")
    record(desk, "mercury-c.jsonl", ARRIVED + 60.2, "recipient-deferred", recipient="joe@branch.example")
    record(desk, "mercury-c.jsonl", ARRIVED + 60.2, "recipient-deferred", recipient="eve@branch.example")
    record(desk, "mercury-c.jsonl", ARRIVED + 90, "destination-down", host="smtp.isp.example")
    steps = tell(desk.spool, history(desk), ONE)
    assert [step.event for step in steps] == [
        "arrived",
        "deferred",
        "recipient-deferred",
        "destination-down",
        "deferred",
    ]


def test_the_arrival_is_told_by_the_event_when_there_is_one(desk: Desk) -> None:
    desk.put(ONE)
    assert [step.event for step in tell(desk.spool, history(desk), ONE)] == ["arrived"]
    record(desk, "mercury-s.jsonl", ARRIVED, "message-accepted", "mercury-s", client="192.0.2.1")
    assert [step.event for step in tell(desk.spool, history(desk), ONE)] == ["message-accepted"]


def test_a_torn_line_is_passed_over(desk: Desk) -> None:
    record(desk, "mercury-s.jsonl", ARRIVED, "message-accepted")
    with (desk.root / "state" / "events" / "mercury-s.jsonl").open("a") as out:
        out.write(f'{{"at":1,"id":"{ONE}","dae')
    assert len(tell(desk.spool, history(desk), ONE)) == 1


def test_a_step_is_one_printable_line(desk: Desk) -> None:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 4.7.1 Grey\x1blisted")
    lines = desk.run("queue", "trail", ONE).stdout.splitlines()
    assert len(lines) == 3
    said = "deferred <joe@branch.example> by smtp.isp.example:587: 451 4.7.1 Grey\\x1blisted"
    assert lines[1].endswith(f"MercuryC  {said}")
    assert lines[2].startswith("now ") and "relay: due, tried 1x, for <joe@branch.example>" in lines[2]


def test_attempts_that_ended_alike_are_told_once_and_counted(desk: Desk) -> None:
    name = desk.put(ONE, to=("joe@branch.example", "eve@branch.example"))
    desk.deferred(name, Lane.RELAY, *["451 4.7.1 Greylisted"] * 9, "451 4.3.0 full")
    desk.deferred(name, Lane.RELAY, "450 4.2.2 over quota", "450 4.2.2 over quota", recipient="eve@branch.example")
    told = [line[25:] for line in desk.run("queue", "trail", ONE).stdout.splitlines() if "MercuryC" in line]
    assert sum("Greylisted" in line for line in told) == 1
    assert sum("<joe@branch.example> the same 8 times more, up to here" in line for line in told) == 1
    assert sum("<eve@branch.example> the same again" in line for line in told) == 1
    assert sum("451 4.3.0 full" in line for line in told) == 1
    assert len(desk.run("queue", "trail", ONE, "--json").stdout.splitlines()) == 13, "programs get all of them"


def test_the_trail_says_why_a_message_is_held(desk: Desk) -> None:
    desk.put(ONE, Lane.HOLD, to=("x@y.held.example",))
    last = desk.run("queue", "trail", ONE).stdout.splitlines()[-1]
    assert (
        "hold: held, for <x@y.held.example>" in last and "for *.held.example: hold" in last and "given up" not in last
    )


def test_the_story_of_a_report_names_the_message_it_is_about(desk: Desk) -> None:
    record(desk, "mercury-c.jsonl", ARRIVED, "message-bounced", id="0000-0000", report=ONE)
    [step] = tell(desk.spool, history(desk), ONE)
    assert step.fields == {"cause": "0000-0000"} and "made to report" in line_of(step)
    [step] = tell(desk.spool, history(desk), "0000-0000")
    assert step.fields["report"] == ONE
