"""Events as records of the journal: a socket of the test's takes what the journal would."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.observe import events
from shared.observe.journal import JournalStream, render_field
from shared.observe.log import EventLog


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "journal"))
        sock.settimeout(20)
        yield sock


def parse(data: bytes) -> dict[bytes, bytes]:
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + size], rest[8 + size + 1 :]
        else:
            data = rest
        assert name not in fields and name.replace(b"_", b"").isalnum() and name.isupper()
        fields[name] = value
    return fields


def test_an_event_is_a_record_with_a_field_for_each_of_its_own(journal: socket.socket, tmp_path: Path) -> None:
    log = EventLog()
    log.open("mercury-t", JournalStream("mercury-t", str(tmp_path / "journal")))
    log.event(events.MESSAGE_ACCEPTED, id="7Q2M-K4ZC", size=12, sender="<>", password="x")
    fields = parse(journal.recv(65536))
    assert len(fields.pop(b"MESSAGE_ID")) == 32
    assert fields.pop(b"MERCURY_PASSWORD") != b"x"
    assert fields.pop(b"MESSAGE").startswith(b"message-accepted id=7Q2M-K4ZC size=12 sender=<> password=")
    assert fields == {
        b"SYSLOG_IDENTIFIER": b"mercury-t",
        b"PRIORITY": b"6",
        b"MERCURY_EVENT": b"message-accepted",
        b"MERCURY_ID": b"7Q2M-K4ZC",
        b"MERCURY_SIZE": b"12",
        b"MERCURY_SENDER": b"<>",
    }
    log.close()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("a=b c", b"MERCURY_REPLY=a=b c\n"),
        ("\x1b[2Jé", b"MERCURY_REPLY=\\x1b[2J\\xe9\n"),
        (
            "250 ok\nMERCURY_ID=forged",
            b"MERCURY_REPLY\n" + (24).to_bytes(8, "little") + b"250 ok\nMERCURY_ID=forged\n",
        ),
        (True, b"MERCURY_REPLY=True\n"),
        ("", b"MERCURY_REPLY=\n"),
    ],
)
def test_no_value_becomes_a_field_or_reaches_a_terminal(value: str, field: bytes) -> None:
    assert render_field("reply", value) == field


def test_what_is_too_large_for_a_datagram_comes_in_a_file(journal: socket.socket, tmp_path: Path) -> None:
    stream = JournalStream("mercury-t", str(tmp_path / "journal"))
    stream.write(events.FAULT, {"traceback": "x" * 3_000_000})
    message, descriptors, _, _ = socket.recv_fds(journal, 10, 1)
    assert message == b""
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        assert len(parse(file.read())[b"MERCURY_TRACEBACK"]) == 3_000_000
    stream.close()


def test_without_a_journal_the_lines_go_to_stderr(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stream = JournalStream("mercury-t", str(tmp_path / "nowhere"), writing)
    stream.write(events.DAEMON_STOPPED, {"id": "a\nb"})
    stream.close()
    assert os.read(reading, 1000) == b'<5>daemon-stopped id="a\\nb"\n'
    os.close(reading)
    os.close(writing)


def test_a_journal_that_stands_still_holds_up_nobody(journal: socket.socket, tmp_path: Path) -> None:
    """Nobody reads the socket, its queue is full after a few: writing goes on, and nothing is lost before the bound."""
    stream = JournalStream("mercury-t", str(tmp_path / "journal"))
    for number in range(2000):
        stream.write(events.DAEMON_STOPPED, {"number": number})
    numbers = [int(parse(journal.recv(65536))[b"MERCURY_NUMBER"]) for _ in range(2000)]
    assert numbers == list(range(2000))
    stream.close()


def test_what_is_held_back_while_starting_is_sent_or_dropped(journal: socket.socket, tmp_path: Path) -> None:
    stream = JournalStream("mercury-t", str(tmp_path / "journal"))
    stream.hold()
    stream.write(events.DAEMON_STOPPED, {"id": "dropped"})
    stream.release(is_wanted=False)
    stream.hold()
    stream.write(events.DAEMON_STOPPED, {"id": "sent"})
    stream.release()
    assert parse(journal.recv(65536))[b"MERCURY_ID"] == b"sent"
    stream.close()


def test_only_where_stderr_is_the_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert JournalStream.for_this_process("mercury-t") is None
    monkeypatch.delenv("JOURNAL_STREAM")
    assert JournalStream.for_this_process("mercury-t") is None
