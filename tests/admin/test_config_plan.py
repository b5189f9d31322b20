"""`mercury config plan`: every message whose way another file would change, and no other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from desk import CONFIG, Desk
from test_find import ONE, TWO, accepted

from shared.routing.lane import Lane

HOUR = 3600.0


def planned(desk: Desk, new: str, tmp_path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    folder = tmp_path / "elsewhere"
    folder.mkdir(exist_ok=True)
    (folder / "new.yaml").write_text(new)
    done = desk.run("config", "plan", str(folder / "new.yaml"), "--json")
    assert done.exit_code == 0, done.output
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.output.splitlines()]
    return {(line["id"], line["to"]): (line["before"], line["after"]) for line in lines}


def day(desk: Desk) -> None:
    """One message of an hour ago, one of last week, one that waits."""
    from desk import ARRIVED

    now = time.time() - ARRIVED
    accepted(desk, ONE, now - HOUR, "anna@hq.example", "joe@a.example", "eve@b.example", "bob@hq.example")
    accepted(desk, "7Q2M-K4ZF", now - 8 * 24 * HOUR, "anna@hq.example", "joe@a.example")
    desk.put(TWO, Lane.RELAY, ("joe@b.example",))


def test_the_same_file_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    day(desk)
    assert planned(desk, CONFIG, tmp_path) == {}


def test_a_new_route_is_seen_in_what_came_and_in_what_waits(desk: Desk, tmp_path: Path) -> None:
    day(desk)
    new = CONFIG.replace("routes:\n", "routes:\n  - {to: [b.example], deliver: direct, tls: verify}\n")
    before, after = "relay by smtp.isp.example:587 TLS verify", "direct TLS verify"
    assert planned(desk, new, tmp_path) == {
        (ONE, "eve@b.example"): (before, after),
        (TWO, "joe@b.example"): (before, after),
    }


def test_who_would_no_longer_be_let_in_is_told(desk: Desk, tmp_path: Path) -> None:
    day(desk)
    new = CONFIG.replace("192.168.1.0/24", "192.168.7.0/24")
    found = planned(desk, new, tmp_path)
    assert set(found) == {(ONE, "joe@a.example"), (ONE, "eve@b.example")}
    assert found[ONE, "joe@a.example"][1] == "refused: the client may not relay"
    refusing = CONFIG + "receive: {rules: [{networks: [192.168.0.0/16], action: refuse}]}\n"
    assert planned(desk, refusing, tmp_path)[ONE, "bob@hq.example"][1].startswith("refused: the rule at ")


def test_a_bad_file_is_told_with_all_its_errors(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(CONFIG + "retri: {}\n")
    done = desk.run("config", "plan", str(tmp_path / "bad.yaml"))
    assert done.exit_code == 2 and "did you mean 'retry'" in done.output


def test_conf_d_and_relative_paths_are_those_of_the_present_place(desk: Desk, tmp_path: Path) -> None:
    day(desk)
    (desk.root / "conf.d").mkdir()
    (desk.root / "conf.d/more.yaml").write_text("reports: {double_bounces: hold}\n")
    assert planned(desk, CONFIG, tmp_path) == {}
