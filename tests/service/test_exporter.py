"""Counts of several processes become one page; a worker that died is counted on, a daemon that went is not."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from pathlib import Path

import pytest

from shared.observe import events, metrics
from shared.observe.exposition import dump
from shared.observe.log import EventLog
from shared.observe.metrics import Counts
from shared.service.exporter import STALE, Counter, gather

DAEMONS = ("mercury-s", "mercury-c")


def put(folder: Path, name: str, messages: int, family: int, at: float | None = None) -> None:
    counts = Counts()
    counts.add(metrics.MESSAGES, messages)
    counts.add(metrics.OPEN_SESSIONS, 1)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(dump(counts, family=family, at=time.time() if at is None else at))


def messages(counts: Counts) -> float:
    return counts.numbers[metrics.MESSAGES][()]


def test_a_daemon_is_the_sum_of_its_workers(tmp_path: Path) -> None:
    put(tmp_path, "mercury-s", 1, 100)
    put(tmp_path, "mercury-s.1", 10, 100)
    put(tmp_path, "mercury-s.2", 100, 100, at=1.0)  # dead; what it had counted has happened
    put(tmp_path, "mercury-s.3", 1000, 99)  # of a daemon before this one
    put(tmp_path, "mercury-c", 7, 200, at=time.time() - STALE - 60)  # killed
    found = gather(tmp_path, DAEMONS, time.time())
    assert {name: messages(counts) for name, counts in found.items()} == {"mercury-s": 111}


def test_a_torn_file_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "mercury-s", 1, 100)
    (tmp_path / "mercury-s.1.json").write_text('{"family": 100, "at": 1, "numbers": {"mercury_unheard_of": []}}')
    (tmp_path / "mercury-c.json").write_text('{"family": ')
    assert {name: messages(counts) for name, counts in gather(tmp_path, DAEMONS, time.time()).items()} == {
        "mercury-s": 1
    }


def test_a_daemon_of_another_account_may_write_beside(tmp_path: Path) -> None:
    """Where the spool belongs to a group: the umask is that of shared/spool/sharing.py."""
    folder, before = tmp_path / "metrics", os.umask(0o007)
    try:
        Counter(folder, "mercury-s", 0, EventLog()).write()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o770
    assert stat.S_IMODE((folder / "mercury-s.json").stat().st_mode) & 0o040


def test_a_worker_goes_on_with_the_counts_of_the_one_before(tmp_path: Path) -> None:
    async def live() -> None:
        log = EventLog()
        put(tmp_path, "mercury-s.1", 10, os.getppid())
        put(tmp_path, "mercury-s.2", 10, 99)
        for worker, total in ((1, 11), (2, 1)):
            counter = Counter(tmp_path, "mercury-s", worker, log)
            counter.start()
            log.event(events.MESSAGE_ACCEPTED, id="x", size=1)
            counter.stop()
            said = json.loads((tmp_path / f"mercury-s.{worker}.json").read_text())
            assert {tuple(key): value for key, value in said["numbers"][metrics.MESSAGES.name]}[()] == total
            assert metrics.OPEN_SESSIONS.name not in said["numbers"]
            assert said["numbers"][metrics.CPU.name][0][1] > 0

    asyncio.run(live())


@pytest.mark.parametrize("worker", [0])
def test_a_daemon_that_ends_takes_its_file_along(tmp_path: Path, worker: int) -> None:
    async def live() -> None:
        counter = Counter(tmp_path / "new", "mercury-s", worker, EventLog())
        counter.start()
        counter.write()
        assert gather(tmp_path / "new", DAEMONS, time.time())
        counter.stop()
        assert not gather(tmp_path / "new", DAEMONS, time.time())

    asyncio.run(live())


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("in the way")
    said: list[str] = []

    async def live() -> None:
        log = EventLog()
        with log.watched(lambda name, fields: said.append(name)):
            counter = Counter(tmp_path / "metrics", "mercury-s", 0, log)
            counter.start()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            counter.stop()

    asyncio.run(live())
    assert said == ["metrics-trouble"]
