"""Long work says how far it has come: on a terminal in one line that is gone in the end, elsewhere now and then, and
never on standard output."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
from itertools import count

import pytest
from desk import Desk

from shared.admin import progress
from shared.admin.command import mercury
from shared.admin.progress import AT_ONCE, PATIENT, REWRITTEN, Progress
from shared.routing.lane import Lane

SECONDS = [0.0, AT_ONCE / 2, AT_ONCE, AT_ONCE + REWRITTEN / 2, AT_ONCE + REWRITTEN]


class Terminal:
    """`out` is what a program writes to; `seen` what has come out at the other side."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.out = os.fdopen(slave, "w")

    def seen(self) -> str:
        """Once: it closes the terminal."""
        self.out.write("END")
        self.out.close()
        data = b""
        while not data.endswith(b"END"):
            data += os.read(self._master, 65536)
        os.close(self._master)
        return data.decode().removesuffix("END")


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_a_terminal_has_one_line_rewritten_and_none_in_the_end(terminal: Terminal) -> None:
    clock = iter(SECONDS)
    work = Progress("reading", "files", 9, out=terminal.out, clock=lambda: next(clock, 99.0))
    for _ in SECONDS[1:]:
        work.step()
    work.clear()
    assert terminal.seen() == "\r\x1b[Kreading: 2 of 9 files\r\x1b[Kreading: 4 of 9 files\r\x1b[K"


def test_no_terminal_has_a_plain_line_now_and_then() -> None:
    out, clock = io.StringIO(), count(0, PATIENT / 2)
    assert list(Progress("reading", "files", out=out, clock=lambda: next(clock)).over("abcd")) == list("abcd")
    assert out.getvalue() == "reading: 2 files\nreading: 4 files\n"


def test_what_is_over_in_a_moment_says_nothing(terminal: Terminal) -> None:
    list(Progress("reading", out=terminal.out, clock=lambda: 0.0).over(range(1000)))
    assert terminal.seen() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("queue check --json", "looking through the spool: 3 files"),
        ("queue check --repair --json", "looking through the spool: 3 files"),
        ("queue retry --all --yes --json", "retry: 2 of 2 entries"),
        ("queue hold --all --yes --json", "hold: 1 of 2 entries"),
        ("queue hold --all --yes --json", "reading the queue: 2 entries"),
        ("queue shape --json", "reading the queue: 2 entries"),
        ("queue list", "reading the queue: 2 entries"),
        ("config plan {config} --json", "judging by both files: 2 messages"),
    ],
)
def test_a_command_shows_it_on_standard_error_only(
    desk: Desk,
    terminal: Terminal,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    said: str,
) -> None:
    """Standard error is a terminal, and everything takes long."""
    monkeypatch.setattr(progress, "AT_ONCE", 0.0)
    monkeypatch.setattr(progress, "REWRITTEN", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal.out)
    desk.put("7Q2M-K4ZC")
    desk.put("7Q2M-K4ZD", Lane.LOCAL, to=("bert@hq.example",))
    config = str(desk.root / "mercury.yaml")
    with pytest.raises(SystemExit) as end:
        mercury(["--config", config, *words.format(config=config).split()])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    if "--json" in words:
        assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
    shown = terminal.seen()
    assert f"\r\x1b[K{said}" in shown, shown
    assert shown.endswith("\r\x1b[K"), "the line is gone in the end"
