"""The log: what is said reaches every sink once, and saying it never fails."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.observe import events
from shared.observe.faults import asyncio_fault, fault, hook_process
from shared.observe.log import EventLog
from shared.observe.sinks import RecordFile, TextStream, record_files

NOW = 1_795_456_686.25


@pytest.fixture
def log() -> Iterator[EventLog]:
    log = EventLog(clock=lambda: NOW)
    yield log
    log.close()


def text_of(tmp_path: Path, log: EventLog, is_journal: bool = False) -> tuple[TextStream, Path]:
    path = tmp_path / "stderr"
    text = TextStream(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), is_journal)
    log.open("mercury-s", text)
    return text, path


def test_a_log_that_nobody_opened_swallows(log: EventLog) -> None:
    log.event(events.FAULT, reason="nobody listens")


def test_an_event_is_a_line_with_its_time(log: EventLog, tmp_path: Path) -> None:
    _, path = text_of(tmp_path, log)
    log.event(events.MESSAGE_ACCEPTED, id="7Q2M-K4ZC", size=4096, client=None)
    log.flush()
    assert path.read_text() == "2026-11-23T17:58:06.250Z message-accepted id=7Q2M-K4ZC size=4096\n"


def test_the_journal_gets_priorities_and_no_time(log: EventLog, tmp_path: Path) -> None:
    _, path = text_of(tmp_path, log, is_journal=True)
    log.event(events.ENTRY_SET_ASIDE, path="x")
    log.event("something-else")
    log.flush()
    assert path.read_text() == "<3>entry-set-aside path=x\n<6>something-else\n"


def test_details_for_the_records_do_not_crowd_a_terminal(log: EventLog, tmp_path: Path) -> None:
    _, path = text_of(tmp_path, log)
    log.event(events.SESSION_OPENED, client="192.0.2.1")
    log.flush()
    assert path.read_text() == ""


def test_lines_held_back_are_written_or_dropped(log: EventLog, tmp_path: Path) -> None:
    text, path = text_of(tmp_path, log)
    text.hold()
    log.event("first")
    log.flush()
    assert path.read_text() == ""
    text.release()
    text.hold()
    log.event("second")
    text.release(is_wanted=False)
    log.flush()
    assert path.read_text().split()[1::2] == ["first"]


def test_saying_it_never_fails(log: EventLog, tmp_path: Path) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    _, path = text_of(tmp_path, log)
    log.event("strange", what=Mute())
    log.flush()
    assert "event-unspeakable name=strange reason=RuntimeError" in path.read_text()


def test_a_watcher_hears_what_is_said_within() -> None:
    log, heard = EventLog(), []
    with log.watched(lambda name, fields: heard.append((name, fields))):
        log.event(events.HISTORY_BACK, free=10)
    log.event(events.HISTORY_BACK, free=11)
    assert heard == [("history-back", {"free": 10})]


def test_records_from_many_threads_are_whole_and_complete(log: EventLog, tmp_path: Path) -> None:
    log.open("mercury-c", records=RecordFile(tmp_path / "events" / "mercury-c.jsonl"))

    def talk(who: int) -> None:
        for number in range(500):
            log.event("said", who=who, number=number)

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    lines = [json.loads(line) for line in (tmp_path / "events" / "mercury-c.jsonl").read_text().splitlines()]
    assert sorted((line["who"], line["number"]) for line in lines) == [(w, n) for w in range(4) for n in range(500)]
    assert {(line["at"], line["daemon"], line["event"]) for line in lines} == {(NOW, "mercury-c", "said")}


def test_records_are_turned_over_and_a_few_kept(tmp_path: Path) -> None:
    path = tmp_path / "mercury-e.jsonl"
    records = RecordFile(path, rotate_at=50, kept=2)
    for number in range(8):
        records.write(json.dumps({"number": number, "fill": "x" * 40}))
        records.flush()
    records.close()
    assert [p.name for p in record_files(tmp_path)] == ["mercury-e.jsonl.2", "mercury-e.jsonl.1", "mercury-e.jsonl"]
    numbers = [json.loads(p.read_text())["number"] for p in record_files(tmp_path)]
    assert numbers == [5, 6, 7]


def test_a_record_file_that_was_removed_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "mercury-s.jsonl"
    records = RecordFile(path)
    records.write("1")
    records.flush()
    path.unlink()
    records.write("2")
    records.close()
    assert path.read_text() == "2\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    RecordFile(tmp_path / "events" / "mercury.jsonl").close()
    for path in (tmp_path / "events", tmp_path / "events" / "mercury.jsonl"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_two_writers_of_one_file_turn_it_over_once(tmp_path: Path) -> None:
    path = tmp_path / "mercury-s.jsonl"
    one, two = RecordFile(path, rotate_at=5), RecordFile(path, rotate_at=5)
    one.write("one-1")
    one.flush()
    two.write("two-1")
    two.flush()
    one.write("o2")
    one.flush()
    assert [p.read_text().split() for p in record_files(tmp_path)] == [["one-1"], ["two-1"], ["o2"]]
    one.close()
    two.close()


def test_a_full_backlog_is_counted_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.observe.sinks.BACKLOG_BYTES", 10)
    path = tmp_path / "r.jsonl"
    records = RecordFile(path)
    with records._batch._put_lock:  # the disk stands still
        for _ in range(20):
            records.write('{"n": 12345}')
    records.close()
    lines = path.read_text().splitlines()
    lost = json.loads(lines[-1])
    assert lost["event"] == "events-lost" and lost["count"] + len(lines) - 1 == 20


def boom() -> None:
    raise ValueError("line one\nline two")


def test_a_fault_is_one_line_with_its_whole_traceback(log: EventLog, tmp_path: Path) -> None:
    _, path = text_of(tmp_path, log)
    try:
        boom()
    except ValueError as error:
        fault(log, error, "a test")
    log.flush()
    (line,) = path.read_text().splitlines()
    assert r"line one\nline two" in line and "in boom" in line and 'where="a test"' in line


def test_what_nobody_caught_arrives_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging
    import sys

    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr("shared.observe.faults._hook_twisted", lambda log: None)  # once in a process; endtoend has it
    log, heard = EventLog(), []
    try:
        with log.watched(lambda name, fields: heard.append((name, fields))), warnings.catch_warnings():
            hook_process(log)
            thread = threading.Thread(target=boom, name="worker")
            thread.start()
            thread.join()
            sys.excepthook(ValueError, ValueError("main"), None)
            logging.getLogger("dns").warning("odd %s", "answer")
            logging.getLogger("asyncio").error("task", exc_info=ValueError("inside"))
            warnings.warn("odd", UserWarning, stacklevel=1)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    assert [(name, fields.get("where") or fields["library"]) for name, fields in heard] == [
        ("fault", "thread worker"),
        ("fault", "main thread"),
        ("library-said", "dns"),
        ("fault", "asyncio: task"),
        ("library-said", "py.warnings"),
    ]


def test_a_task_nobody_awaited_is_a_fault() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: asyncio_fault(log, context))
        loop.call_soon(boom)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    log, heard = EventLog(), []
    with log.watched(lambda name, fields: heard.append(fields)):
        asyncio.run(main())
    assert heard[0]["error"] == "ValueError" and "in boom" in str(heard[0]["traceback"])
