"""The life of a daemon: ready when it can take mail, reloaded or not, and ended in bounded time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.config.load import ConfigErrors, Problem, parse
from shared.config.model import Config
from shared.observe.log import EventLog
from shared.service.life import Daemon, Life, Progressing, Reloaded
from shared.service.notify import ServiceManager
from shared.service.trouble import StartTrouble
from shared.spool.spool import SpoolUnusable

OLD, NEW = (
    parse("", Path("m.yaml"), lambda: "a.example"),
    parse("retry: {first: 2m}", Path("m.yaml"), lambda: "a.example"),
)


class FakeManager(ServiceManager):
    """Keeps what the service manager would hear."""

    def __init__(self, watchdog: float | None = None) -> None:
        super().__init__("", watchdog)
        self.heard: list[str] = []

    def _send(self, text: str) -> None:
        self.heard.append(text.split("=")[0] + "=" + text.split("STATUS=")[-1] if "STATUS=" in text else text)


class FakeDaemon:
    def __init__(self, start: Exception | None = None, stop_seconds: float = 0.0) -> None:
        self.config: Config = OLD
        self.did: list[str] = []
        self._start = start
        self._stop_seconds = stop_seconds

    async def start(self) -> None:
        self.did.append("start")
        if self._start:
            raise self._start

    async def reload(self, config: Config) -> None:
        self.config = config
        self.did.append("reload")

    async def stop(self, grace: float) -> None:
        self.did.append(f"stop {grace:g}")
        await asyncio.sleep(self._stop_seconds)

    def status(self) -> str:
        return "fine"


class Stage:
    def __init__(self, watchdog: float | None = None) -> None:
        self.manager = FakeManager(watchdog)
        self.log = EventLog()
        self.events: list[str] = []
        self.next_config: Config | Exception = NEW

    def load(self) -> Config:
        if isinstance(self.next_config, Exception):
            raise self.next_config
        return self.next_config

    def run(
        self,
        daemon: Daemon,
        act: Callable[[Life], Coroutine[Any, Any, None]],
        grace: float = 0.01,
        name: str = "mercury-x",
    ) -> BaseException | None:
        async def main() -> BaseException | None:
            life = Life(name, self.log, self.manager, self.load, grace=grace)
            acting = asyncio.ensure_future(act(life))
            end = await life.live(lambda config: daemon, OLD)
            acting.cancel()
            return end

        with self.log.watched(lambda name, fields: self.events.append(name)):
            return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Turns of the loop, not seconds; threads of the executor get their share of them too."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def end_at_once(life: Life) -> None:
    life.ask(signal.SIGTERM)


def test_start_ready_stop() -> None:
    stage, daemon = Stage(), FakeDaemon()
    assert stage.run(daemon, end_at_once) is None
    assert daemon.did == ["start", "stop 0.01"]
    assert stage.manager.heard == ["READY=fine", "STOPPING=stopping"]
    assert stage.events == ["daemon-started", "daemon-stopping", "daemon-stopped"]


@pytest.mark.parametrize(
    "error", [StartTrouble("open x", "do y"), PermissionError(13, "no", "/x"), SpoolUnusable("spool /x: bad; fix")]
)
def test_what_keeps_it_from_starting_is_the_answer_and_no_fault(error: Exception) -> None:
    stage, daemon = Stage(), FakeDaemon(start=error)
    assert stage.run(daemon, end_at_once) is error
    assert daemon.did == ["start", "stop 0"] and stage.manager.heard == [] and stage.events == []


def test_a_bug_at_start_is_a_fault() -> None:
    stage = Stage()
    assert isinstance(stage.run(FakeDaemon(start=KeyError("x")), end_at_once), KeyError)
    assert stage.events == ["fault"]


def reloading(stage: Stage, *outcomes: Config | Exception) -> Callable[[Life], Coroutine[Any, Any, None]]:
    def is_ready_again(times: int) -> bool:
        return sum(line.startswith("READY") for line in stage.manager.heard) >= times

    async def act(life: Life) -> None:
        for number, outcome in enumerate(outcomes, 2):
            stage.next_config = outcome
            life.ask(signal.SIGHUP)
            await until(partial(is_ready_again, number))
        life.ask(signal.SIGINT)

    return act


def test_a_good_reload_reaches_the_daemon() -> None:
    stage, daemon = Stage(), FakeDaemon()
    told: list[Reloaded] = []

    async def act(life: Life) -> None:
        told.append(await life.reload())
        told.append(await life.reload())
        life.ask(signal.SIGINT)

    stage.run(daemon, act)
    assert daemon.config is NEW
    assert told == [Reloaded("", ("retry.first",)), Reloaded("")]
    assert stage.manager.heard[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert stage.manager.heard[2] == "READY=fine" and "config-reloaded" in stage.events


def test_what_waits_for_a_restart_is_told_until_it_is_there() -> None:
    """Also by a reload that changes nothing, and no longer when the change is taken back."""
    stage, daemon = Stage(), FakeDaemon()
    told: list[tuple[str, ...]] = []
    moved = parse("metrics: {listen: 9925}\n", Path("m.yaml"), lambda: "a.example")

    async def act(life: Life) -> None:
        for stage.next_config in (moved, moved, OLD):
            told.append((await life.reload()).restart)
        life.ask(signal.SIGINT)

    stage.run(daemon, act, name="mercury-c")
    assert told == [("metrics.listen",), ("metrics.listen",), ()]


def test_what_only_a_restart_puts_in_force_is_said_by_those_whom_it_concerns() -> None:
    changed = parse(
        "spool: /elsewhere\nmetrics: {listen: 9925}\nreceive: {listeners: [{port: 26}]}\nretry: {first: 1m}\n",
        Path("m.yaml"),
        lambda: "a.example",
    )
    for name, settings in (
        ("mercury-s", ["spool", "receive.listeners", "metrics.listen"]),
        ("mercury-c", ["spool", "metrics.listen"]),
        ("mercury-web", ["spool"]),
    ):
        stage, said = Stage(), []
        with stage.log.watched(lambda event, fields, said=said: said.append((event, fields.get("setting")))):
            stage.run(FakeDaemon(), reloading(stage, changed), name=name)
        assert [setting for event, setting in said if event == "restart-needed"] == settings


def test_a_restart_that_is_wanted_stays_in_the_status_until_it_is_not() -> None:
    elsewhere, back = (
        parse(text, Path("m.yaml"), lambda: "a.example") for text in ("spool: /elsewhere\n", "retry: {first: 1m}\n")
    )
    stage = Stage()
    stage.run(FakeDaemon(), reloading(stage, elsewhere, elsewhere, back), name="mercury-c")
    said = [line for line in stage.manager.heard if line.startswith("READY=")]
    assert said == ["READY=fine", *["READY=fine; needs a restart for spool"] * 2, "READY=fine"]


def test_a_bad_reload_keeps_the_old_and_says_so_until_a_good_one() -> None:
    stage, daemon = Stage(), FakeDaemon()
    bad = ConfigErrors([Problem("m.yaml", 2, 1, "one"), Problem("m.yaml", 3, 1, "two")])
    stage.run(daemon, reloading(stage, bad, NEW))
    assert stage.manager.heard[2] == "READY=configuration refused, the old one stays: m.yaml:2:1: error: one"
    assert stage.manager.heard[4] == "READY=fine"
    assert stage.events.count("config-refused") == 2 and daemon.did.count("reload") == 1


def test_a_daemon_that_does_not_end_is_left() -> None:
    stage, daemon = Stage(), FakeDaemon(stop_seconds=3600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.service.life._AFTER_GRACE", 0.0)
        assert stage.run(daemon, end_at_once) is None
    assert "stop-cut-short" in stage.events


def test_the_watchdog_is_fed_only_while_work_gets_done() -> None:
    class Stuck(FakeDaemon):
        works = True
        asked = 0

        def is_progressing(self) -> bool:
            self.asked += 1
            return self.works

    stage, daemon = Stage(watchdog=0.003), Stuck()

    async def act(life: Life) -> None:
        await until(lambda: "WATCHDOG=1" in stage.manager.heard)
        daemon.works = False
        fed = stage.manager.heard.count("WATCHDOG=1")
        asked = daemon.asked
        await until(lambda: daemon.asked > asked + 3)
        assert stage.manager.heard.count("WATCHDOG=1") == fed
        life.ask(signal.SIGTERM)

    assert stage.run(daemon, act) is None
    assert stage.events.count("no-progress") == 1
    assert not isinstance(FakeDaemon(), Progressing)


def test_nothing_is_said_of_paths_that_are_not_there(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "gone")).ready("fine")
