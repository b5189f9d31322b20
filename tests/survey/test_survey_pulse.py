"""What daemons say is counted by the minute, shown by the line, and read on from where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.survey.pulse import LINES, LONGEST_LINE, SERIES, Pulse

NOW = 1_790_000_000.0


class Daemons:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.pulse = Pulse(folder, lambda: self.now)

    def say(self, event: str, at: float = NOW, daemon: str = "mercury-s", **fields: object) -> None:
        with (self.folder / f"{daemon}.jsonl").open("a") as file:
            line = {"at": at, "daemon": daemon, "event": event, **fields}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def sums(self, span: str = "hour") -> dict[str, int]:
        self.pulse.beat()
        return {name: sum(values) for name, values in zip(SERIES, self.pulse.plot()[span], strict=True)}


@pytest.fixture
def daemons(tmp_path: Path) -> Daemons:
    return Daemons(tmp_path)


def test_minutes_and_quarters(daemons: Daemons) -> None:
    daemons.say("message-accepted", NOW - 30)
    daemons.say("message-accepted", NOW - 7200)
    daemons.say("recipient-deferred", NOW, "mercury-c")
    daemons.say("recipient-delivered", NOW, "mercury-e")
    daemons.say("sender-refused")
    daemons.say("message-accepted", NOW - 200_000)
    assert daemons.sums() == {"received": 1, "delivered": 1, "deferred": 1, "failed": 0, "refused": 1}
    assert daemons.sums("day")["received"] == 2
    plot = daemons.pulse.plot()
    assert [len(values) for values in plot["hour"]] == [60] * 5 and [len(values) for values in plot["day"]] == [
        96
    ] * 5
    assert plot["hour"][1][-1] == 1


def test_it_reads_on_and_across_a_turn_over(daemons: Daemons) -> None:
    assert daemons.sums()["received"] == 0
    daemons.say("message-accepted")
    assert daemons.sums()["received"] == 1
    daemons.say("message-accepted")
    (daemons.folder / "mercury-s.jsonl").rename(daemons.folder / "mercury-s.jsonl.1")
    daemons.say("message-accepted")
    assert daemons.sums()["received"] == 3
    assert daemons.sums()["received"] == 3


def test_of_a_large_file_the_last_part_is_read(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.survey.pulse.BACK", 1000)
    for _ in range(100):
        daemons.say("message-accepted")
    assert 0 < daemons.sums()["received"] < 20


def test_the_last_lines_and_nothing_that_can_leave_its_line(daemons: Daemons) -> None:
    for number in range(LINES + 5):
        daemons.say("session-closed", client=f"192.0.2.{number}")
    daemons.say("session-opened")
    daemons.say("recipient-deferred", reply="<script>\r\n\x1b[31m\u202e" + "A" * 5000, id="7Q2M-K4ZC")
    with (daemons.folder / "mercury-s.jsonl").open("a") as file:
        file.write('{"at":torn\nnonsense\n')
    daemons.pulse.beat()
    lines = daemons.pulse.consoles()["mercury-s"]
    assert len(lines) == LINES and lines[0]["text"] == "client=192.0.2.6"
    assert lines[-1]["id"] == "7Q2M-K4ZC" and lines[-1]["text"].isprintable() and lines[-1]["text"].isascii()
    assert len(lines[-1]["text"]) <= LONGEST_LINE and "<script>" in lines[-1]["text"]
    assert daemons.pulse.consoles()["mercury-e"] == []


def test_warnings_of_the_last_hour_by_event(daemons: Daemons) -> None:
    daemons.say("deposit-failed", reason="first")
    daemons.say("deposit-failed", reason="last")
    daemons.say("spool-full", NOW - 4000)
    daemons.say("message-accepted")
    daemons.pulse.beat()
    (warning,) = daemons.pulse.warnings()
    assert (warning["event"], warning["count"], warning["text"]) == ("deposit-failed", 2, "reason=last")
