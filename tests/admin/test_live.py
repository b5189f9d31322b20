"""`mercury top` on a terminal, a pseudo-terminal of the test: it draws, follows the window, ends by a key, and leaves
nothing behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from desk import Desk
from endtoend.deadline import eventually

from shared.admin.top import View, lines
from shared.routing.lane import Lane

#  As for the tests of endtoend: a process of its own on a machine that does other things, too.
pytestmark = pytest.mark.flaky(reruns=1)
ROOT = Path(__file__).resolve().parents[2]
ALTERNATE, NORMAL, SHOWN = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


@dataclass
class Terminal:
    """`said` grows as the program writes."""

    master: int
    process: subprocess.Popen[bytes]
    said: bytes = b""

    def read(self) -> bytes:
        while True:
            try:
                part = os.read(self.master, 65536)
            except BlockingIOError:
                return self.said
            except OSError:  # the program has ended
                return self.said
            if not part:
                return self.said
            self.said += part

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)


def rows_of(drawn: bytes) -> list[str]:
    """The text of the last picture, a row each."""
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", drawn.rpartition(b"\x1b[H")[2])
    return [row.rstrip() for row in text.decode().replace("\r", "").split("\n")]


def test_what_strangers_say_cannot_steer_the_terminal() -> None:
    client = {"daemon": "mercury-s", "client": "\x1b[2J192.0.2.1", "age": 1, "state": "DATA\r\x07", "messages": 1}
    hop = {"daemon": "mercury-c", "next_hop": "mx.\x9b31mexample\u202e:25"}
    text = "\n".join(lines(View(0.0, {"mercury-s": "1 session\x1b]0;x\x07"}, {}, [client, hop])))
    assert "\\x1b[2J192.0.2.1" in text and text.replace("\n", "").isprintable(), text


@pytest.fixture
def terminal(desk: Desk) -> Iterator[Terminal]:
    desk.put("7Q2M-K4ZC", Lane.RELAY)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.set_blocking(master, False)
    command = [
        sys.executable,
        "-m",
        "shared.admin",
        "--config",
        str(desk.root / "mercury.yaml"),
        "top",
        "--every",
        "3600",
    ]
    #  Who runs tests side by side says a size in the environment, which would count in place of the window's.
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    try:
        yield Terminal(master, process)
        assert termios.tcgetattr(slave) == before, "the terminal is as it was"
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def ended(terminal: Terminal) -> bytes:
    """All it said, when it has ended well."""
    eventually(lambda: terminal.read() is not None and terminal.process.poll() is not None, 20, "it ends")
    assert terminal.process.returncode == 0, terminal.said
    return terminal.read()


def test_it_draws_and_a_key_ends_it(terminal: Terminal) -> None:
    eventually(lambda: b"1 entry, " in terminal.read(), 20, "the queue is drawn")
    assert terminal.said.startswith(ALTERNATE) or ALTERNATE in terminal.said
    rows = rows_of(terminal.said)
    assert rows[0].startswith("mercury top ") and rows[0].endswith("q ends")
    os.write(terminal.master, b"q")
    said = ended(terminal)
    assert NORMAL in said and SHOWN in said
    assert said.rindex(NORMAL) > said.rindex(b"mercury top"), "the screen of before is back, and nothing comes after"
    assert b"Traceback" not in said


def test_ctrl_c_ends_it_without_a_word(terminal: Terminal) -> None:
    eventually(lambda: b"1 entry, " in terminal.read(), 20, "the queue is drawn")
    terminal.process.send_signal(signal.SIGINT)
    said = ended(terminal)
    assert NORMAL in said and b"Traceback" not in said and b"Aborted" not in said


def test_it_follows_the_window(terminal: Terminal) -> None:
    """At once, not at the next look; what does not fit is cut, and no row becomes two."""
    eventually(lambda: b"1 entry, " in terminal.read(), 20, "the queue is drawn")
    seen = len(terminal.said)
    terminal.resize(40, 9)
    eventually(lambda: b"MercuryE" in terminal.read()[seen:], 20, "it is drawn anew")
    rows = rows_of(terminal.said)
    assert len(rows) <= 9 and max(map(len, rows)) <= 40
    assert [row[:8] for row in rows[2:5]] == ["MercuryS", "MercuryC", "MercuryE"]
    os.write(terminal.master, b"q")
    ended(terminal)
