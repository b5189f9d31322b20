"""`mercury session`: what clients would hear, why, and that nothing comes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import CONFIG, Desk

ROOT = Path(__file__).resolve().parents[2]
DIALOGUE = """EHLO pc.example
MAIL FROM:<a@b.example>
RCPT TO:<joe@elsewhere.example>
RCPT TO:<info@hq.example>
RCPT TO:<nobody@hq.example>
DATA
Subject: x

body
.
QUIT
"""


@pytest.fixture
def office(desk: Desk) -> Desk:
    rules = "receive: {listeners: [{port: 2525}], rules: [{networks: [10.9.9.9/32], action: refuse}]}\n"
    (desk.root / "mercury.yaml").write_text(CONFIG + rules)
    assert desk.run("user", "add", "anna@hq.example", "--no-password").exit_code == 0
    (desk.root / "aliases").write_text("info: anna\n")
    return desk


def talk(office: Desk, *arguments: str, said: str = DIALOGUE) -> list[str]:
    """As a process, since the session speaks on the streams of the terminal."""
    command = [sys.executable, "-m", "shared.admin", "--config", str(office.root / "mercury.yaml"), "session"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*command, *arguments], input=said, capture_output=True, text=True, timeout=60, env=environment
    )
    assert "Traceback" not in done.stderr, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_a_stranger_hears_what_a_stranger_hears_and_the_reason(
    office: Desk, tree: Callable[[], dict[str, float]]
) -> None:
    before = tree()
    heard = talk(office, "--from", "203.0.113.9")
    assert "550 5.7.1 That domain is not ours and you may not relay: log in, or send from our network" in heard
    assert any(line.startswith("# ") and "the client may not relay" in line for line in heard)
    assert "# info@hq.example is an alias for the mailbox anna@hq.example" in heard
    assert "550 5.1.1 There is no such mailbox here" in heard
    assert any(line.startswith("# not deposited") and "lane local" in line for line in heard)
    assert tree() == before


def test_one_of_ours_may_relay_and_a_rule_turns_away(office: Desk) -> None:
    heard = talk(office, "--from", "192.168.1.7")
    assert any("joe@elsewhere.example would wait in the lane relay" in line for line in heard)
    refused = talk(office, "--from", "10.9.9.9")
    assert refused[0].startswith("# turned away: connection rule 1") and refused[1].startswith("554 5.7.1")


def test_a_login_gives_the_right_to_relay_and_must_exist(office: Desk) -> None:
    heard = talk(
        office, "--from", "203.0.113.9", "--login", "anna@hq.example", said=DIALOGUE.replace("a@b", "anna@hq")
    )
    assert any("joe@elsewhere.example" in line and "lane relay" in line for line in heard)
    nobody = talk(office, "--from", "203.0.113.9", "--login", "x@hq.example")
    assert nobody[-1] == "mercury: there is no account x@hq.example"
