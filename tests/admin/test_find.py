"""`mercury find`: every message by whatever is known of it, and what became of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from desk import ARRIVED, Desk

from shared.history.keeper import Keeper, Terms

ONE, TWO, THREE = "7Q2M-K4ZC", "7Q2M-K4ZD", "7Q2M-K4ZE"


def say(desk: Desk, daemon: str, event: str, at: float = 0, **fields: object) -> None:
    folder = desk.root / "state" / "events"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{daemon}.jsonl").open("a") as out:
        line = {"at": ARRIVED + at, "daemon": daemon, "event": event} | fields
        out.write(json.dumps(line, separators=(",", ":")) + "\n")


def accepted(desk: Desk, queue_id: str, at: float, sender: str, *to: str, **fields: object) -> None:
    say(
        desk, "mercury-s", "message-accepted", at, id=queue_id, client="192.168.1.7", sender=sender,
        recipient=",".join(to), recipients=len(to), size=4096, **fields,
    )  # fmt: skip


@pytest.fixture(params=["filed", "fresh"])
def past(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """Three messages and a refusal; in the history, or in the records only."""
    accepted(desk, ONE, 0, "anna@hq.example", "joe@branch.example", "eve@x.example", message_id="<1@hq.example>",
             subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=")  # fmt: skip
    accepted(desk, TWO, 100, "bob@hq.example", "joe@branch.example", message_id="<2@hq.example>")
    accepted(desk, THREE, 200, "<>", "anna@hq.example")
    say(desk, "mercury-s", "recipient-refused", 300, client="203.0.113.9", sender="spam@x.example",
        recipient="nobody@hq.example", reply="550 5.1.1 No such mailbox", reason="no such user")  # fmt: skip
    say(desk, "mercury-c", "recipient-delivered", 10, id=ONE, recipient="joe@branch.example", reply="250 2.0.0 kept",
        host="smtp.isp.example[10.0.0.1]:25")  # fmt: skip
    say(desk, "mercury-e", "recipient-deferred", 11, id=ONE, recipient="eve@x.example", reply="451 4.7.1 Greylisted")
    say(desk, "mercury-c", "recipient-delivered", 110, id=TWO, recipient="joe@branch.example", reply="250 ok")
    if request.param == "filed":
        state = desk.root / "state"
        for daemon in ("mercury-s", "mercury-c", "mercury-e"):
            keeper = Keeper(state / "events", state / "history", (daemon,), Terms(), lambda name, **fields: None)
            keeper.start()
            keeper.stop(60)
    return desk


def found(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    result = desk.run("find", "--json", *arguments)
    assert result.exit_code in (0, 4), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), [ONE, TWO, THREE, ""]),
        (("--from", "anna@hq.example"), [ONE]),
        (("--from", "ANNA@hq"), [ONE]),
        (("--to", "anna@hq.example"), [THREE]),
        (("--to", "joe@branch.example"), [ONE, TWO]),
        (("--to", "eve@x.example", "--from", "bob"), []),
        (("--to", "eve", "--client", "192.168.1.7"), [ONE]),
        (("--client", "192.168.1"), []),
        (("--client", "203.0.113.9"), [""]),
        (("--message-id", "<2@hq.example>"), [TWO]),
        (("--reply", "greylist"), [ONE]),
        (("--reply", "no such mail"), [""]),
        (("--id", ONE.lower()), [ONE]),
        (("--id", "0000-0000"), []),
        (("--state", "deferred"), [ONE]),
        (("--state", "delivered"), [TWO]),
        (("--state", "queued"), [THREE]),
        (("--state", "refused"), [""]),
        (("smtp.isp.example",), [ONE]),
        (("bob@hq", "branch"), [TWO]),
        (("100%", "_"), []),
        (("--limit", "2"), [THREE, ""]),
    ],
)
def test_what_is_found(past: Desk, arguments: tuple[str, ...], ids: list[str]) -> None:
    assert [message["id"] for message in found(past, *arguments)] == ids


def test_a_refused_login_says_whose_and_from_where(past: Desk) -> None:
    say(
        past,
        "mercury-s",
        "login-refused",
        400,
        client="203.0.113.7",
        account="anna@hq.example",
        delay=1.0,
        blocked=False,
    )
    row = past.run("find", "--state", "refused").stdout.splitlines()[-1]
    assert "[203.0.113.7]" in row and "a wrong login as anna@hq.example" in row
    assert [one["client"] for one in found(past, "--client", "203.0.113.7")] == ["203.0.113.7"]


def test_a_message_as_json(past: Desk) -> None:
    [message] = found(past, "--id", ONE)
    assert message == {
        "id": ONE, "at": ARRIVED, "last_at": ARRIVED + 11, "state": "deferred", "from": "anna@hq.example",
        "to": ["joe@branch.example", "eve@x.example"], "recipients": 2, "client": "192.168.1.7", "size": 4096,
        "message_id": "<1@hq.example>", "subject": "Gr\u00fc\u00dfe", "reply": "451 4.7.1 Greylisted", "reason": "",
    }  # fmt: skip


def test_since_and_until_are_times_of_this_host(past: Desk) -> None:
    import time

    noon = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ARRIVED + 150))
    assert [message["id"] for message in found(past, "--since", noon)] == [THREE, ""]
    assert [message["id"] for message in found(past, "--until", noon)] == [ONE, TWO]
    assert found(past, "--since", "1m") == []
    assert past.run("find", "--since", "noon").exit_code == 2


def test_subjects_are_found_where_they_are_kept(past: Desk) -> None:
    refused = past.run("find", "--subject", "gr\u00fc\u00dfe")
    assert refused.exit_code == 2 and "history.subjects" in refused.stderr
    with (past.root / "mercury.yaml").open("a") as file:
        file.write("history: {subjects: true}\n")
    assert [message["id"] for message in found(past, "--subject", "gr\u00fc\u00dfe")] == [ONE]


def test_a_table_for_people(past: Desk) -> None:
    lines = past.run("find", "--to", "branch").stdout.splitlines()
    assert lines[0].split()[:4] == ["TIME", "ID", "SIZE", "FROM"]
    assert "joe@branch.example +1" in lines[1] and "451 4.7.1 Greylisted" in lines[1]
    assert past.run("find", "nothing-like-this").exit_code == 4


def test_hostile_replies_are_harmless(desk: Desk) -> None:
    say(desk, "mercury-c", "recipient-deferred", id=ONE, recipient="x@y.example", reply="451 \x1b[2J\u202e")
    assert "\x1b" not in (text := desk.run("find").stdout) and "\u202e" not in text


def test_the_trail_of_a_finished_message_comes_from_the_history(past: Desk) -> None:
    for file in (past.root / "state" / "events").iterdir():
        if list((past.root / "state").glob("history/*.db")):
            file.unlink()
    events = [json.loads(line)["event"] for line in past.run("queue", "trail", TWO, "--json").stdout.splitlines()]
    assert events == ["message-accepted", "recipient-delivered"]


def test_who_was_changed_or_dropped_by_hand_decides_nothing_any_more(past: Desk) -> None:
    say(past, "mercury-c", "operator-acted", 20, id=ONE, action="dropped", recipient="eve@x.example")
    say(past, "mercury-c", "recipient-deferred", 120, id=THREE, recipient="anna@hq.example", reply="451 4.2.1 no")
    say(
        past,
        "mercury-c",
        "operator-acted",
        130,
        id=THREE,
        action="changed",
        recipient="anna@hq.example",
        to="b@y.example",
    )
    assert [found(past, "--id", each)[0]["state"] for each in (ONE, THREE)] == ["delivered", "queued"]
    say(past, "mercury-c", "recipient-delivered", 140, id=THREE, recipient="b@y.example", reply="250 ok")
    assert found(past, "--id", THREE)[0]["state"] == "delivered"
