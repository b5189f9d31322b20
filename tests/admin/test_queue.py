"""`mercury queue`: what it lists is what is there, what it changes is what was asked for, and it can be undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import ARRIVED, Desk

from shared.routing.lane import Lane
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.trail import Trail

ONE, TWO, THREE = "7Q2M-K4ZC", "7Q2M-K9A1", "7Q2N-1B0D"


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_listing_in_json_is_one_object_a_line(desk: Desk) -> None:
    name = desk.put(ONE, to=("joe@branch.example", "eve@branch.example"), due=ARRIVED + 300)
    desk.deferred(name, Lane.RELAY, "451 4.7.1 Greylisted", "451 4.7.1 Still")
    desk.put(TWO, Lane.DIRECT, sender=None, owner="mercury-e.1.aaaaaa.mail")
    desk.put(THREE, Lane.HOLD)
    first, second, third = objects(desk.run("queue", "list", "--json").stdout)
    assert first == {
        "id": ONE,
        "lane": "relay",
        "state": "waiting",
        "from": "anna@hq.example",
        "to": ["joe@branch.example", "eve@branch.example"],
        "size": 20,
        "arrived": ARRIVED,
        "next_attempt": ARRIVED + 300,
        "attempts": 2,
        "last_error": "451 4.7.1 Still",
        "settled": [],
    }
    assert (second["id"], second["lane"], second["state"], second["from"]) == (TWO, "direct", "active", "")
    assert (third["id"], third["lane"], third["state"]) == (THREE, "hold", "held")


def test_options_without_a_verb_are_those_of_the_list(desk: Desk) -> None:
    desk.put(ONE, to=("joe@branch.example",))
    desk.put(TWO, to=("eve@elsewhere.example",))
    assert [found["id"] for found in objects(desk.run("queue", "--json", "--to", "branch.example").stdout)] == [ONE]
    assert desk.run("queue", "--to", "nowhere.example").exit_code == 4
    assert "retry" in desk.run("queue", "--help").stdout


def test_looking_changes_nothing(desk: Desk, tree: Callable[[], dict[str, float]]) -> None:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 later")
    before = tree()
    for arguments in (("list",), ("list", "--json"), ("summary",), ("show", ONE), ("trail", ONE)):
        assert desk.run("queue", *arguments).exit_code == 0
    assert tree() == before


def test_a_table_is_escaped(desk: Desk) -> None:
    name = desk.put(ONE, to=("jürgen@bücher.example",))
    desk.deferred(name, Lane.RELAY, "451 \x1b[2J gone", recipient="jürgen@bücher.example")
    table = desk.run("queue").stdout
    assert "\x1b" not in table and table.isascii()
    assert "451 \\x1b[2J gone" in table and "j\\xfcrgen@b\\xfccher.example" in table and ONE in table


def test_a_recipient_who_has_it_is_not_listed_as_waiting(desk: Desk) -> None:
    name = desk.put(ONE, to=("joe@branch.example", "eve@branch.example"))
    path = desk.spool.folder(Lane.RELAY) / "trail" / name
    path.write_text('{"at":1,"daemon":"mercury-c","event":"relayed","recipient":"eve@branch.example"}\n')
    (entry,) = objects(desk.run("queue", "list", "--json").stdout)
    assert entry["to"] == ["joe@branch.example"] and entry["settled"] == ["eve@branch.example"]


def test_a_damaged_entry_is_listed_with_what_is_wrong(desk: Desk) -> None:
    name = desk.put(ONE)
    path = desk.spool.folder(Lane.RELAY) / "new" / name
    path.write_bytes(path.read_bytes().replace(b"branch", b"brunch", 1))
    desk.put(TWO)
    first, second = objects(desk.run("queue", "list", "--json").stdout)
    assert first["state"] == "damaged" and "checksum" in str(first["last_error"])
    assert second["state"] == "waiting"


def test_an_entry_with_thousands_of_recipients_is_read_whole(desk: Desk) -> None:
    desk.put(ONE, to=tuple(f"user{number}@branch.example" for number in range(3000)))
    (entry,) = objects(desk.run("queue", "list", "--json").stdout)
    assert len(entry["to"]) == 3000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((ONE,), [ONE]),
        ((ONE.lower().replace("-", ""), TWO), [ONE, TWO]),
        (("--lane", "direct"), [TWO]),
        (("--to", "branch.example"), [ONE]),
        (("--to", "@BRANCH.example"), [ONE]),
        (("--to", "joe@branch.example"), [ONE]),
        (("--to", "joe@branch.example", "--to", "boss@partner.example"), [ONE, TWO]),
        (("--to", "*.example"), [ONE, TWO]),
        (("--from", "<>"), [TWO]),
        (("--from", "anna@*"), [ONE]),
        (("--from", "hq.example", "--lane", "relay"), [ONE]),
    ],
)
def test_selections(desk: Desk, arguments: tuple[str, ...], found: list[str]) -> None:
    desk.put(ONE)
    desk.put(TWO, Lane.DIRECT, to=("boss@partner.example",), sender=None)
    done = desk.run("queue", "list", "--json", *arguments)
    assert [entry["id"] for entry in objects(done.stdout)] == found
    assert done.exit_code == 0


def test_nothing_matched_is_4_and_an_empty_queue_is_0(desk: Desk) -> None:
    assert desk.run("queue", "list", "--to", "nobody.example").exit_code == 4
    assert desk.run("queue", "show", ONE).exit_code == 4
    assert desk.run("queue", "trail", ONE).exit_code == 4
    assert desk.run("queue", "hold", ONE).exit_code == 4
    assert desk.run("queue", "list").exit_code == 0
    assert desk.run("queue", "retry", "--all").exit_code == 0


def test_a_spool_that_no_daemon_has_made_is_an_empty_queue(desk: Desk, tmp_path: Path) -> None:
    config = tmp_path / "mercury.yaml"
    config.write_text(config.read_text().replace("spool: spool", "spool: elsewhere"))
    assert desk.run("queue", "list", "--json").stdout == ""
    assert desk.run("queue", "list").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("queue", "retry"),
        ("queue", "hold"),
        ("queue", "retry", "not-an-id"),
        ("queue", "remove", ONE),  # no reason
        ("queue", "remove", ONE, "--reason", "spam"),  # nobody to ask, and no --yes
        ("queue", "re", ONE),  # retry, release, remove
        ("queue", "frobnicate"),
        ("nonsense",),
    ],
)
def test_usage_is_2(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.put(ONE)
    assert desk.run(*arguments).exit_code == 2
    assert len(desk.names(Lane.RELAY)) == 1


def test_unambiguous_prefixes_will_do(desk: Desk) -> None:
    desk.put(ONE)
    assert objects(desk.run("q", "l", "--json").stdout)[0]["id"] == ONE
    assert desk.run("q", "ret", "--all").exit_code == 0


def test_retry_makes_what_waits_due_and_leaves_the_rest(desk: Desk) -> None:
    later = time.time() + 9999
    for queue_id, lane in ((ONE, Lane.RELAY), (TWO, Lane.LOCAL), (THREE, Lane.HOLD)):
        desk.put(queue_id, lane, due=later)
    assert desk.run("queue", "retry", "--all").exit_code == 0
    due = {
        lane: next((desk.spool.folder(lane) / "new").iterdir()).stat().st_mtime for lane in Lane if desk.names(lane)
    }
    assert (
        due[Lane.RELAY] <= time.time() and due[Lane.LOCAL] <= time.time() and due[Lane.HOLD] == pytest.approx(later)
    )


def test_hold_and_release(desk: Desk) -> None:
    name = desk.put(ONE)
    assert desk.run("queue", "hold", ONE, "--reason", "check invoice").exit_code == 0
    assert desk.names(Lane.RELAY) == [] and desk.names(Lane.HOLD) == [f"{name},L=relay"]
    assert desk.run("queue", "release", ONE).exit_code == 0
    assert desk.names(Lane.RELAY) == [name] and desk.names(Lane.HOLD) == []
    steps = objects(desk.run("queue", "trail", ONE, "--json").stdout)
    assert [step["event"] for step in steps] == ["arrived", "held", "released"]
    assert "check invoice" in str(steps[1]["detail"])


def test_release_of_what_was_held_from_the_start_goes_by_the_route(desk: Desk) -> None:
    desk.put(ONE, Lane.HOLD, to=("joe@x.held.example", "boss@partner.example"))
    desk.put(TWO, Lane.HOLD, to=("joe@x.held.example",))
    done = desk.run("queue", "release", ONE, TWO)
    assert done.exit_code == 1 and "says hold" in done.stderr
    assert len(desk.names(Lane.DIRECT)) == 1 and len(desk.names(Lane.HOLD)) == 1


@pytest.mark.parametrize("lane", [Lane.RELAY, Lane.HOLD])
def test_remove_and_undelete(desk: Desk, lane: Lane) -> None:
    name = desk.put(ONE, lane)
    before = (desk.spool.folder(lane) / "new" / name).read_bytes()
    done = desk.run("queue", "remove", ONE, "--yes", "--reason", "spam")
    assert done.exit_code == 0, done.output
    assert desk.names(lane) == [] and len(desk.names(Lane.TRASH)) == 1
    assert desk.run("queue", "list", "--json").stdout == ""
    assert objects(desk.run("queue", "list", "--json", "--lane", "trash").stdout)[0]["state"] == "trash"
    assert desk.run("queue", "undelete", ONE).exit_code == 0
    assert desk.names(lane) == [name] and desk.names(Lane.TRASH) == []
    assert (desk.spool.folder(lane) / "new" / name).read_bytes() == before


def test_the_trail_goes_along(desk: Desk) -> None:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 later")
    desk.run("queue", "remove", ONE, "--yes", "--reason", "spam")
    assert not list((desk.spool.folder(Lane.RELAY) / "trail").iterdir())
    (path,) = (desk.spool.folder(Lane.TRASH) / "trail").iterdir()
    assert [record.event for record in Trail(str(path)).records] == ["deferred", "removed"]


def test_what_a_daemon_works_on_is_left_to_it(desk: Desk) -> None:
    daemon = Owner(desk.spool, "mercury-c")
    daemon.begin()
    name = desk.put(ONE)
    claim = LaneFolder(desk.spool, Lane.RELAY, daemon).claim(name)
    assert claim is not None
    done = desk.run("queue", "remove", ONE, "--yes", "--reason", "spam")
    assert done.exit_code == 1 and "being delivered" in done.stderr
    assert Path(claim.path).exists()
    daemon.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_root_acts_as_the_owner_of_the_spool(desk: Desk) -> None:
    """A trail that only root can read would be set aside by the daemons."""
    desk.put(ONE)
    for path in [desk.spool.root, *desk.spool.root.rglob("*")]:
        os.chown(path, 65534, 65534)
    for path in [desk.root, *desk.root.parents[:-2]]:
        path.chmod(0o755)
    command = [
        sys.executable,
        "-m",
        "shared.admin",
        "--config",
        str(desk.root / "mercury.yaml"),
        "queue",
        "hold",
        ONE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    made = list((desk.spool.folder(Lane.HOLD) / "trail").iterdir())
    assert [path.stat().st_uid for path in made] == [65534]


def test_a_verb_leaves_no_owner_behind(desk: Desk) -> None:
    desk.put(ONE)
    desk.run("queue", "hold", ONE)
    assert list(desk.spool.owners.iterdir()) == []


def test_summary(desk: Desk) -> None:
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 later")
    desk.put(TWO, owner="mercury-c.1.aaaaaa.mail", to=("a@x.example", "b@x.example"))
    by_lane = {str(line["lane"]): line for line in objects(desk.run("queue", "summary", "--json").stdout)}
    assert by_lane["relay"] == {
        "lane": "relay",
        "entries": 2,
        "active": 1,
        "deferred": 1,
        "octets": sum(path.stat().st_size for path in (desk.root / "spool/.relay").glob("[nc]*/*")),
        "oldest": int(ARRIVED),
        "sampled": 2,
        "domains": {"x.example": 2, "branch.example": 1},
    }
    assert by_lane["trash"]["entries"] == 0
    text = desk.run("queue", "summary").stdout
    assert "2 entries, 368 B: 1 active, 1 deferred" in text and "direct  empty" in text


def test_show_says_everything(desk: Desk) -> None:
    name = desk.put(ONE)
    text = desk.run("queue", "show", ONE.lower()).stdout
    for part in (ONE, "anna@hq.example", "joe@branch.example", "192.168.1.7 pc7", name):
        assert part in text
    (shown,) = objects(desk.run("queue", "show", ONE, "--json").stdout)
    assert shown["client"] == "192.168.1.7 pc7" and shown["lane"] == "relay"
