"""`mercury route` explains: the door, the lane, the next hop, and what would change it. Nothing is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from desk import CONFIG, Desk

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


@pytest.fixture
def office(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    rules = "receive: {max_message_size: 1M, rules: [{networks: [192.168.1.66/32], action: refuse}]}\n"
    (desk.root / "mercury.yaml").write_text(CONFIG + rules)
    assert desk.run("user", "add", "anna@hq.example", "--no-password").exit_code == 0
    (desk.root / "aliases").write_text("info: anna, joe@elsewhere.example\n")
    return desk


def told(office: Desk, *arguments: str) -> dict[str, Any]:
    done = office.run("route", "--json", *arguments)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_client_of_the_house_is_let_in_and_its_mail_relayed(
    office: Desk, tree: Callable[[], dict[str, float]]
) -> None:
    before = tree()
    found = told(office, "joe@elsewhere.example", "--client", "192.168.1.7", "--from", "anna@hq.example")
    assert [answer["reply"][:3] for answer in found["door"]] == ["220", "250", "250", "250", "221"]
    assert found["lane"] == "relay" and found["smarthosts"][0]["host"] == "smtp.isp.example:587"
    assert "mercury site set hq" in found["change"]
    assert tree() == before


@pytest.mark.parametrize(
    ("arguments", "reply", "why"),
    [
        (("joe@elsewhere.example", "--client", "192.168.1.66"), "554 5.7.1", "connection rule 1"),
        (("joe@elsewhere.example", "--client", "192.168.1.7", "--size", "2M"), "552", ""),
        (("joe@elsewhere.example", "--size", "2M"), "552", ""),
        (("nobody@hq.example",), "550 5.1.1", "no mailbox and no alias"),
    ],
    ids=["rule", "size", "size alone", "mailbox"],
)
def test_what_the_door_refuses_is_told_with_its_reason(
    office: Desk, arguments: tuple[str, ...], reply: str, why: str
) -> None:
    door = told(office, *arguments)["door"]
    refused = next(answer for answer in door if answer["reply"][0] == "5")
    assert refused["reply"].startswith(reply) and why in " ".join(refused["why"])
    assert refused["reply"] in office.run("route", *arguments).stdout


def test_a_name_without_a_mailbox_is_said_how_to_get_one(office: Desk) -> None:
    change = told(office, "nobody@hq.example")["change"]
    assert change.startswith("mercury user add nobody@hq.example") and change.endswith("aliases")


def test_an_alias_is_followed(office: Desk) -> None:
    text = office.run("route", "info@hq.example").stdout
    assert "info@hq.example is an alias for the mailbox anna@hq.example, joe@elsewhere.example" in text


def test_a_client_in_no_site_hears_what_the_door_says_to_it(office: Desk) -> None:
    relayed = told(office, "joe@elsewhere.example", "--client", "203.0.113.9")
    assert relayed["taken"] is False and relayed["change"].startswith("the client logs in")
    shown = office.run("route", "joe@elsewhere.example", "--client", "203.0.113.9").stdout
    assert "refused at the door: 550 5.7.1" in shown and "  if taken relay:" in shown, shown
    assert told(office, "anna@hq.example", "--client", "203.0.113.9")["taken"] is True
    assert told(office, "joe@elsewhere.example")["taken"] is None


def test_a_size_that_is_refused_is_said_how_to_be_taken(office: Desk) -> None:
    found = told(office, "joe@elsewhere.example", "--size", "2M")
    assert found["taken"] is False and found["change"].startswith("receive.max_message_size, 1.0 MiB now")
    assert "a client at 192.168.1.1" in office.run("route", "joe@elsewhere.example", "--size", "2M").stdout
    assert told(office, "joe@elsewhere.example", "--size", "1K")["taken"] is True


def test_a_sender_alone_asks_the_door_too(office: Desk) -> None:
    [mail] = [
        one
        for one in told(office, "joe@elsewhere.example", "--from", "a@b.example")["door"]
        if "MAIL" in one["command"]
    ]
    assert mail["command"] == "MAIL FROM:<a@b.example>"


def test_nobody_is_told_when_mail_that_is_held_is_tried(office: Desk) -> None:
    text = office.run("route", "x@y.held.example").stdout
    assert "hold: it is held" in text and "retry " not in text
