"""`mercury alias`: what the file says, what is wrong with it, and what an address comes to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from desk import CONFIG, Desk

ROOT = Path(__file__).resolve().parents[2]
ALIASES = """info: anna, desk
desk: bert@partner.example
sales: gone
"""


@pytest.fixture
def office(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    (desk.root / "mercury.yaml").write_text(CONFIG)
    assert desk.run("user", "add", "anna@hq.example", "--no-password").exit_code == 0
    (desk.root / "aliases").write_text(ALIASES)
    return desk


def test_an_address_is_told_what_it_comes_to(office: Desk) -> None:
    done = office.run("alias", "show", "info+x@hq.example", "anna", "x@partner.example", "--json")
    assert done.exit_code == 0, done.output
    info, anna, elsewhere = map(json.loads, done.stdout.splitlines())
    assert info["is"] == "alias" and info["mailboxes"] == ["anna@hq.example"], info
    assert info["elsewhere"] == ["bert@partner.example"] and info["nowhere"] == []
    assert anna["address"] == "anna@hq.example" and anna["is"] == "mailbox" and elsewhere["is"] == "elsewhere"
    nobody = office.run("alias", "show", "x@hq.example")
    assert nobody.exit_code == 4 and "x@hq.example  is nobody" in nobody.stdout


def test_the_list_has_each_alias_and_where_it_leads(office: Desk) -> None:
    told = office.run("alias", "list").stdout
    assert "the mailbox anna@hq.example, bert@partner.example" in told and "nowhere (gone)" in told, told
    lines = [json.loads(line) for line in office.run("alias", "list", "--json").stdout.splitlines()]
    assert [(one["alias"], one["line"]) for one in lines] == [("info", 1), ("desk", 2), ("sales", 3)]
    assert lines[0]["targets"] == ["anna", "desk"]
    (office.root / "aliases").write_text("")
    assert office.run("alias", "list").exit_code == 4


def test_what_leads_nowhere_or_is_no_alias_is_said_with_its_line(office: Desk) -> None:
    done = office.run("alias", "check")
    assert done.exit_code == 1 and "line 3: sales leads nowhere: gone" in done.stdout, done.output
    (office.root / "aliases").write_text("info: anna\n: x\n")
    done = office.run("alias", "check")
    assert done.exit_code == 1 and "aliases:2:" in done.output
    (office.root / "aliases").write_text("info: anna\n")
    done = office.run("alias", "check")
    assert done.exit_code == 0 and "every alias leads somewhere" in done.stdout
