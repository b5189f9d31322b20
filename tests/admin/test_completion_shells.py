"""Completion in the shells themselves: what Tab offers is what `mercury` knows, in bash, zsh and fish."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from desk import Desk

from shared.routing.lane import Lane

ROOT = Path(__file__).resolve().parents[2]
ID, OTHER = "7Q2M-K4ZC", "7Q2N-1B0D"
#  A line, and what it becomes: the rest of a word, where only one fits.
LINES = {
    "mercury queue tra": "trail",
    "mercury find --mess": "--message-id",
    "mercury queue show 7q2m": ID,
    "mercury site show bra": "branch",
    "mercury user passwd an": "anna@hq.example",
}


@pytest.fixture
def home(desk: Desk) -> dict[str, str]:
    """The environment of somebody at that desk, with `mercury` among the programs."""
    desk.put(ID)
    desk.put(OTHER, Lane.DIRECT)
    desk.run("user", "add", "anna@hq.example", "--no-password")
    programs = desk.root / "bin"
    programs.mkdir()
    program = programs / "mercury"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shared.admin "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MERCURY_CONFIG": str(desk.root / "mercury.yaml"),
        "HOME": str(desk.root),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }


def script(desk: Desk, shell: str) -> Path:
    path = desk.root / f"completion.{shell}"
    path.write_text(desk.run("completion", shell).stdout)
    return path


def wanting(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell} here")
    return path


def said_by(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_bash(desk: Desk, home: dict[str, str]) -> None:
    shell, file = wanting("bash"), script(desk, "bash")
    for line, expected in LINES.items():
        words = line.split()
        ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _mercury_completion mercury; echo ${{COMPREPLY[*]}}"
        assert said_by([shell, "--norc", "-c", f". {file}; {ask}"], home).split() == [expected], line


def test_in_fish(desk: Desk, home: dict[str, str]) -> None:
    shell, file = wanting("fish"), script(desk, "fish")
    for line, expected in LINES.items():
        said = said_by([shell, "--no-config", "-c", f"source {file}; complete -C {json.dumps(line)}"], home)
        assert [offer.split("\t")[0] for offer in said.splitlines()] == [expected], line


def test_in_zsh(desk: Desk, home: dict[str, str]) -> None:
    """It completes only where somebody types: a terminal, and a Tab behind each line. One session, as the function is
    loaded at the first."""
    shell, file = wanting("zsh"), script(desk, "zsh")
    functions = desk.root / "functions"
    functions.mkdir()
    file.rename(functions / "_mercury")
    (desk.root / ".zshrc").write_text(
        f"fpath=({functions} $fpath); PS1='ready> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execve(shell, ["zsh", "-d", "-i"], home)
    try:
        until(terminal, "ready> ")
        for line, expected in LINES.items():
            begun, _, word = line.rpartition(" ")
            os.write(terminal, f"{line}\t".encode())
            said = until(terminal, expected)
            assert begun in said and word.lower() in said.lower(), said
            os.write(terminal, b"\x15")  # the line is thrown away
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def until(terminal: int, text: str, seconds: float = 60) -> str:
    said, end = "", time.monotonic() + seconds
    while text not in shown(said):
        ready, _, _ = select.select([terminal], [], [], max(end - time.monotonic(), 0))
        assert ready, f"{text!r} did not come, but {said!r}"
        said += os.read(terminal, 4096).decode(errors="replace")
    return shown(said)


def shown(said: str) -> str:
    """The line that stands there at last: what a shell corrects it writes over."""
    line: list[str] = []
    at = 0
    for letter in said.rpartition("\n")[2]:
        if letter in "\r\b":
            at = 0 if letter == "\r" else max(at - 1, 0)
        elif letter.isprintable():
            line[at : at + 1] = [letter]
            at += 1
    return "".join(line)
