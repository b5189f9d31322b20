"""What the watchdog is told: that mail gets written and lanes are looked through, not that the loop turns."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from threading import Event, Thread

import pytest
from fakes.runs import Run, run

from shared.delivery.runner import LONGEST_REST
from shared.maildir.batch import Landing
from shared.maildir.committer import Committer
from shared.maildir.tree import make_maildir
from shared.service.post_office import STUCK


def test_a_committer_that_does_not_come_back_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_maildir(tmp_path / "box")
    reached, go_on, done = Event(), Event(), Event()
    real = os.fsync

    def hang(descriptor: int) -> None:
        reached.set()
        assert go_on.wait(60)
        real(descriptor)

    committer = Committer(lambda call, *args: call(*args))
    committer.start()
    assert committer.stuck_for(time.monotonic() + 1e6) == 0.0, "nothing to do is no fault"
    monkeypatch.setattr(os, "fsync", hang)
    committer.submit([Landing(str(tmp_path / "box"), "one", [b"x"])], lambda error: done.set())
    assert reached.wait(60)
    assert committer.stuck_for(time.monotonic() + STUCK) >= STUCK
    go_on.set()
    assert done.wait(60)
    assert committer.stuck_for(time.monotonic() + 1e6) == 0.0
    ender = Thread(target=committer.stop)
    ender.start()
    ender.join(60)


def test_a_runner_that_rests_is_well_and_one_that_waits_for_the_disk_is_not() -> None:
    async def test(stage: Run) -> None:
        runner = stage.runner
        for _ in range(200):
            await asyncio.sleep(61)
            assert runner.stuck_for(stage.loop.time()) == 0.0
        forever: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

        async def hang(*args: object) -> object:
            return await forever

        monkey = pytest.MonkeyPatch()
        monkey.setattr(runner._errands, "ask", hang)
        stage.letter("berta@partner.example")
        await asyncio.sleep(STUCK + LONGEST_REST + 1)
        assert runner.stuck_for(stage.loop.time()) >= STUCK
        monkey.undo()
        forever.set_result([])
        await asyncio.sleep(1)
        assert runner.stuck_for(stage.loop.time()) == 0.0

    run(test)
