"""The operator's hands on the spool itself: each verb does what it says, can be told from the audit log, and refuses
what it cannot do."""

from __future__ import annotations

import email
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from desk import Desk

from shared.delivery.detour import Detour, detour_of
from shared.routing.lane import Lane
from shared.routing.next_hop import Tls
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.record import parse_record
from shared.spool.spool import Spool
from shared.spool.trail import Trail
from shared.state.audit import read_audit

ONE, TWO = "7Q2M-K4ZC", "7Q2M-K9A1"
BOTH = ("joe@branch.example", "eve@branch.example")


def listed(desk: Desk, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.run("queue", "list", "--json", *options).stdout.splitlines()]


def trail(desk: Desk, lane: Lane, name: str) -> Trail:
    return Trail(f"{desk.spool.folder(lane)}/trail/{name}")


def test_a_bounce_is_on_its_way_before_its_cause_is_gone(desk: Desk) -> None:
    desk.put(ONE, to=("joe@branch.example",), sender="anna@hq.example")
    done = desk.run("queue", "bounce", ONE, "--yes", "--reason", "left us", "--text", "Joe works elsewhere")
    assert done.exit_code == 0, done.output
    assert desk.names(Lane.RELAY) == []
    (name,) = desk.names(Lane.LOCAL)
    data = (desk.spool.folder(Lane.LOCAL) / "new" / name).read_bytes()
    envelope, start = parse_record(data)
    assert (
        envelope.sender is None and envelope.cause == ONE and str(envelope.recipients[0].address) == "anna@hq.example"
    )
    report = email.message_from_bytes(data[start:])
    assert report.get_content_type() == "multipart/report" and "Joe works elsewhere" in report.as_string()
    assert "left us" not in report.as_string()


def test_what_nobody_sent_cannot_be_returned(desk: Desk) -> None:
    desk.put(ONE, sender=None)
    done = desk.run("queue", "bounce", ONE, "--yes", "--reason", "x")
    assert done.exit_code == 1 and "no sender" in done.stderr and len(desk.names(Lane.RELAY)) == 1


def test_one_recipient_is_dropped_and_the_last_is_not(desk: Desk) -> None:
    name = desk.put(ONE, to=BOTH)
    assert desk.run("queue", "drop", ONE, "--recipient", "EVE@branch.example", "--yes").exit_code == 0
    (entry,) = listed(desk)
    assert entry["to"] == [BOTH[0]] and entry["settled"] == [BOTH[1]]
    assert trail(desk, Lane.RELAY, name).settled() == {BOTH[1]}
    again = desk.run("queue", "drop", ONE, "--recipient", BOTH[0], "--yes")
    assert again.exit_code == 1 and "the last" in again.stderr
    assert desk.run("queue", "drop", ONE, "--recipient", "x@y.example", "--yes").exit_code == 1
    assert desk.names(Lane.RELAY) == [name]


def test_a_changed_recipient_goes_its_own_way(desk: Desk) -> None:
    desk.put(ONE, to=BOTH)
    done = desk.run("queue", "change", ONE, "--recipient", BOTH[0], "--new", "boss@partner.example")
    assert done.exit_code == 0, done.output
    old, new = listed(desk)
    assert (old["lane"], old["to"], old["id"]) == ("relay", [BOTH[1]], ONE)
    assert (new["lane"], new["to"], new["id"]) == ("direct", ["boss@partner.example"], ONE)
    assert desk.run("queue", "change", ONE, "--recipient", "x@y.example", "--new", "a@b.example").exit_code == 1
    assert desk.run("queue", "change", ONE, "--recipient", BOTH[1], "--new", "no address").exit_code == 2


def test_when_the_only_recipient_is_changed_the_old_entry_ends(desk: Desk) -> None:
    desk.put(ONE)
    desk.run("queue", "hold", ONE)
    assert desk.run("queue", "change", ONE, "--recipient", BOTH[0], "--new", "eve@hq.example").exit_code == 0
    (entry,) = listed(desk)
    assert (entry["state"], entry["to"]) == ("held", ["eve@hq.example"])
    (name,) = desk.names(Lane.HOLD)
    assert [record.event for record in trail(desk, Lane.HOLD, name).records] == ["held"]
    assert desk.run("queue", "release", ONE).exit_code == 0
    assert listed(desk)[0]["lane"] == "local"


def test_a_priority_stands_in_the_name_and_the_trail_goes_along(desk: Desk) -> None:
    name = desk.put(ONE)
    desk.deferred(name, Lane.RELAY, "451 later")
    assert desk.run("queue", "priority", ONE, "--value", "7").exit_code == 0
    assert desk.names(Lane.RELAY) == [f"{name},P=7"]
    (path,) = (desk.spool.folder(Lane.RELAY) / "trail").iterdir()
    assert path.name == f"{name},P=7" and [r.event for r in Trail(str(path)).records] == ["deferred", "prioritized"]
    assert desk.run("queue", "priority", ONE, "--value", "0").exit_code == 0
    assert desk.names(Lane.RELAY) == [name]
    assert desk.run("queue", "priority", ONE, "--value", "10").exit_code == 2


@pytest.mark.parametrize(
    ("options", "lane", "detour"),
    [
        (("--direct",), Lane.DIRECT, Detour(Lane.DIRECT)),
        (("--relay",), Lane.RELAY, Detour(Lane.RELAY)),
        (("--via", "mx.other.example"), Lane.RELAY, Detour(Lane.RELAY, "mx.other.example", 25)),
        (("--via", "10.0.0.5:2525", "--tls", "off"), Lane.RELAY, Detour(Lane.RELAY, "10.0.0.5", 2525, Tls.OFF)),
        (("--via", "[2001:db8::1]:26"), Lane.RELAY, Detour(Lane.RELAY, "2001:db8::1", 26)),
    ],
)
def test_another_way_stands_in_the_trail(desk: Desk, options: tuple[str, ...], lane: Lane, detour: Detour) -> None:
    name = desk.put(ONE)
    assert desk.run("queue", "reroute", ONE, *options, "--reason", "the line is down").exit_code == 0
    (there,) = desk.names(lane)
    assert detour_of(trail(desk, lane, there).records) == detour
    assert desk.run("queue", "reroute", ONE, "--by-route").exit_code == 0
    assert desk.names(Lane.RELAY) == [name] and detour_of(trail(desk, Lane.RELAY, name).records) is None


@pytest.mark.parametrize(
    "options", [(), ("--relay", "--via", "x"), ("--via", "x:0"), ("--via", "a b"), ("--via", ":25")]
)
def test_a_way_that_is_none_is_refused(desk: Desk, options: tuple[str, ...]) -> None:
    desk.put(ONE)
    assert desk.run("queue", "reroute", ONE, *options).exit_code == 2


def test_the_trash_can_be_emptied_and_nothing_else(desk: Desk) -> None:
    desk.put(ONE)
    desk.put(TWO)
    desk.run("queue", "remove", ONE, "--yes", "--reason", "spam")
    assert desk.run("queue", "purge", "--lane", "relay", "--yes", "--reason", "x").exit_code == 2
    assert desk.run("queue", "purge", "--all", "--yes", "--reason", "old").exit_code == 0
    assert [entry["id"] for entry in listed(desk)] == [TWO] and desk.names(Lane.TRASH) == []


VERBS = [
    ("retry",),
    ("hold",),
    ("remove", "--reason", "x"),
    ("bounce", "--reason", "x"),
    ("reroute", "--direct"),
    ("drop", "--recipient", BOTH[0]),
    ("change", "--recipient", BOTH[0], "--new", "a@b.example"),
    ("priority", "--value", "3"),
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_every_verb_selects_rehearses_asks_and_tells_alike(desk: Desk, verb: tuple[str, ...]) -> None:
    desk.put(ONE, to=BOTH)
    desk.put(TWO, to=("x@other.example",))
    before = sorted((path, path.stat().st_mtime) for path in desk.root.rglob("*") if path.is_file())
    said = desk.run("queue", *verb, "--to", "branch.example", "--dry-run", "--json")
    (told,) = [json.loads(line) for line in said.stdout.splitlines()]
    assert told["id"] == ONE and told["rehearsal"] and said.exit_code == 0
    assert sorted((path, path.stat().st_mtime) for path in desk.root.rglob("*") if path.is_file()) == before
    assert desk.run("queue", *verb).exit_code == 2
    done = desk.run("queue", *verb, "--to", "branch.example", "--yes", "--json")
    assert done.exit_code == 0, done.output
    (end,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert end["id"] == ONE and end["wrong"] == ""
    begins, did = read_audit(desk.root / "state")
    assert (begins["verb"], begins["selection"], begins["count"]) == (verb[0], "recipients=branch.example", 1)
    assert isinstance(begins["uid"], int) and begins["account"] and did["entries"] == [end]


def test_many_are_asked_about(desk: Desk) -> None:
    for number in range(12):
        desk.put(f"7Q2M-K4{number:02d}")
    assert desk.run("queue", "hold", "--all").exit_code == 2
    assert desk.names(Lane.HOLD) == []
    assert desk.run("queue", "hold", "--all", "--yes").exit_code == 0
    assert len(desk.names(Lane.HOLD)) == 12


def test_the_audit_log_is_shown_escaped_and_by_message(desk: Desk) -> None:
    desk.put(ONE)
    desk.put(TWO)
    desk.run("queue", "hold", ONE, "--reason", "see \x1b[2J me")
    desk.run("queue", "hold", TWO)
    text = desk.run("audit").stdout
    assert "\x1b" not in text and f"hold ids={ONE}" in text and "see \\x1b[2J me" in text
    assert TWO not in desk.run("audit", ONE).stdout and f"{ONE} relay: is held" in desk.run("audit", ONE).stdout
    assert len(desk.run("audit", "--last", "1", "--json").stdout.splitlines()) == 1
    assert desk.run("audit", "7Q2M-0000").exit_code == 4


def test_who_cannot_be_audited_does_not_act(desk: Desk) -> None:
    name = desk.put(ONE)
    (desk.root / "state").mkdir(exist_ok=True)
    (desk.root / "state" / "audit.jsonl").symlink_to("/dev/null")
    done = desk.run("queue", "hold", ONE)
    assert done.exit_code == 1 and "audit.jsonl" in done.stderr and desk.names(Lane.RELAY) == [name]


def test_what_a_dead_daemon_had_is_taken_at_once(desk: Desk) -> None:
    dead = Owner(Spool(desk.spool.root, socket.gethostname()), "mercury-c")
    dead.begin()
    claim = LaneFolder(desk.spool, Lane.RELAY, dead).claim(desk.put(ONE))
    assert claim is not None and Path(claim.path).exists()
    dead.end()
    assert desk.run("queue", "hold", ONE).exit_code == 0
    assert len(desk.names(Lane.HOLD)) == 1


@pytest.mark.parametrize(
    ("lane", "verb", "hint"),
    [(Lane.HOLD, "retry", "queue release"), (Lane.TRASH, "hold", "queue undelete"), (Lane.RELAY, "release", "")],
)
def test_an_id_in_another_lane_is_said_to_be_there(desk: Desk, lane: Lane, verb: str, hint: str) -> None:
    desk.put("7Q2M-K4ZC", lane)
    done = desk.run("queue", verb, "7Q2M-K4ZC")
    assert done.exit_code == 4 and f"7Q2M-K4ZC is in the lane {lane.word}" in done.output and hint in done.output
