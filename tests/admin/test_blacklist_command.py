"""`mercury blacklist` as the operator uses it, and as MercuryS then finds it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.admin.command import mercury
from shared.state.blacklist_file import BlacklistFile


class Desk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "mercury.yaml"
        self.path.write_text("hostname: mail.hq.example\nspool: spool\nstate: state\nrun: run\n")
        (root / "state/events").mkdir(parents=True)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(mercury, ["--config", str(self.path), "blacklist", *arguments])

    def daemon(self) -> BlacklistFile:
        return BlacklistFile(self.root / "state", time.time, time.monotonic, "mercury-s")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_empty_list_says_so(desk: Desk) -> None:
    assert desk.run("list").stdout == "Nobody is on the blacklist.\n"
    assert desk.run("list", "--json").stdout == ""


def test_who_is_added_is_refused_listed_and_let_in_again(desk: Desk) -> None:
    done = desk.run("add", "192.0.2.7", "--reason", "spam run")
    assert (done.exit_code, done.stdout) == (0, "192.0.2.7/32 is refused until it is removed\n")
    found = desk.daemon().find("192.0.2.7")
    assert found is not None and found.reason == "spam run"
    assert "192.0.2.7/32" in desk.run("list").stdout
    assert desk.run("remove", "192.0.2.7").stdout == "192.0.2.7/32 may come in again\n"
    assert desk.daemon().find("192.0.2.7") is None
    events = [json.loads(line) for line in (desk.root / "state/events/mercury.jsonl").read_text().splitlines()]
    assert [event["action"] for event in events] == ["blacklist-added", "blacklist-removed"]


def test_programs_get_one_object_a_line(desk: Desk) -> None:
    before = time.time()
    added = json.loads(desk.run("add", "2001:db8::9", "--for", "30m", "--json").stdout)
    assert added["client"] == "2001:db8::/64"
    assert before + 1790 < added["until"] < before + 1900
    assert json.loads(desk.run("list", "--json").stdout) == added
    assert json.loads(desk.run("remove", "2001:db8::/64", "--json").stdout) == added


def test_an_entry_by_a_daemon_can_be_removed(desk: Desk) -> None:
    desk.daemon().add("192.0.2.7", "too many unknown recipients", 1800)
    line = desk.run("list").stdout.splitlines()[1].split()
    assert line[:2] == ["192.0.2.7/32", "in"]
    assert desk.run("remove", "192.0.2.7").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["add", "pc.example"], ["add", "192.0.2.1/24"], ["add", "192.0.2.1", "--for", "x"]]
)
def test_what_makes_no_sense_is_refused_with_words(desk: Desk, arguments: list[str]) -> None:
    done = desk.run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("mercury: ")


def test_removing_somebody_who_is_not_there(desk: Desk) -> None:
    desk.run("add", "192.0.2.1")
    assert desk.run("remove", "192.0.2.9").exit_code == 4
    mixed = desk.run("remove", "192.0.2.1", "192.0.2.9")
    assert mixed.exit_code == 1
    assert mixed.stderr == "mercury: 192.0.2.9 is not on the blacklist\n"


def test_words_of_others_do_not_reach_the_terminal_raw(desk: Desk) -> None:
    desk.daemon().add("192.0.2.7", "a filter\x1b[2J\nsaid so", None)
    assert "\x1b" not in desk.run("list").stdout
