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
    assert len(lines) == 2
    said = "deferred <joe@branch.example> by smtp.isp.example:587: 451 4.7.1 Grey\\x1blisted"
    assert lines[1].endswith(f"MercuryC  {said}")


def test_the_story_of_a_report_names_the_message_it_is_about(desk: Desk) -> None:
    record(desk, "mercury-c.jsonl", ARRIVED, "message-bounced", id="0000-0000", report=ONE)
    [step] = tell(desk.spool, history(desk), ONE)
    assert step.fields == {"cause": "0000-0000"} and "made to report" in line_of(step)
    [step] = tell(desk.spool, history(desk), "0000-0000")
    assert step.fields["report"] == ONE
