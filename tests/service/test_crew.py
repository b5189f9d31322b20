"""A crew is complete before its daemon is ready, stays complete, and ends with it. Workers here are socket pairs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config.load import parse
from shared.observe.log import log
from shared.service.crew import Crew, Hand, reason_of
from shared.service.seat import Orders, Seat, receive_orders
from shared.service.trouble import StartTrouble

CONFIG = parse("", Path("/nowhere/mercury.yaml"), lambda: "mail.hq.example")


class FakeProcess:
    def __init__(self, worker: FakeWorker, pid: int) -> None:
        self.pid = pid
        self._worker = worker
        self.was_killed = False

    def wait(self, timeout: float | None = None) -> int:
        return -9 if self.was_killed else self._worker.code

    def kill(self) -> None:
        self.was_killed = True
        self._worker.die()


class FakeWorker:
    """The far end of a link."""

    def __init__(self, number: int, is_willing: bool = True) -> None:
        ours, self.link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.number, self.code = number, 0
        self.process = FakeProcess(self, 100 + number)
        self.hand = Hand(self.process, ours)
        if is_willing:
            self.say("READY=1\nSTATUS=0 sessions")

    def say(self, text: str) -> None:
        self.link.send(text.encode())

    def orders(self) -> Orders | None:
        return receive_orders(self.link)

    def die(self, code: int = 0) -> None:
        self.code = code
        self.link.close()


class Yard:
    """Spawns fakes, and remembers them."""

    def __init__(self, is_willing: bool = True) -> None:
        self.workers: list[FakeWorker] = []
        self.cleared: list[int] = []
        self.slept: list[float] = []
        self.is_willing = is_willing
        self.extra: Any = "first"
        self.crew = Crew(2, self.spawn, lambda: Orders(CONFIG, self.extra), self.cleared.append, sleep=self.sleep)

    def spawn(self, number: int) -> Hand:
        worker = FakeWorker(number, self.is_willing)
        self.workers.append(worker)
        return worker.hand

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def until(self, what: Callable[[], bool]) -> None:
        for _ in range(2000):
            if what():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to that")

    async def end(self) -> None:
        stop = asyncio.ensure_future(self.crew.stop(1.0))
        await asyncio.sleep(0)
        for worker in self.workers:
            worker.link.close()
        await stop


def play(script: Callable[[Yard], Awaitable[None]], is_willing: bool = True) -> list[tuple[str, dict[str, Any]]]:
    said: list[tuple[str, dict[str, Any]]] = []

    async def run() -> None:
        yard = Yard(is_willing)
        try:
            await script(yard)
        finally:
            await yard.end()

    with log.watched(lambda name, fields: said.append((name, dict(fields)))):
        asyncio.run(run())
    return said


def test_it_has_started_when_every_worker_is_ready_and_each_has_its_orders() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        assert [worker.number for worker in yard.workers] == [1, 2]
        assert yard.crew.at_work == 2
        for worker in yard.workers:
            orders = worker.orders()
            assert orders is not None and (orders.config, orders.extra) == (CONFIG, "first")

    said = play(script)
    assert sorted((name, fields["worker"]) for name, fields in said) == [("worker-started", 1), ("worker-started", 2)]


def test_a_worker_that_cannot_start_keeps_the_daemon_from_starting() -> None:
    async def script(yard: Yard) -> None:
        start = asyncio.ensure_future(yard.crew.start())
        await yard.until(lambda: len(yard.workers) == 2)
        yard.workers[1].say("TROUBLE=no certificate")
        yard.workers[1].die(1)
        with pytest.raises(StartTrouble, match="worker 2: no certificate"):
            await start

    play(script, is_willing=False)


def test_a_dead_worker_is_replaced_and_what_it_had_counted_is_cleared() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        yard.workers[0].die(-9)
        await yard.until(lambda: len(yard.workers) == 3 and yard.crew.at_work == 2)
        assert yard.workers[2].number == 1
        assert yard.cleared == [1]

    said = play(script)
    assert ("worker-ended", {"worker": 1, "reason": "killed by SIGKILL"}) in said


def test_the_pause_before_a_new_worker_doubles() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        for count in range(3, 6):
            yard.workers[0 if count == 3 else -1].die(1)
            await yard.until(lambda count=count: len(yard.workers) == count and yard.crew.at_work == 2)  # type: ignore[misc]
        assert yard.slept == [0.1, 0.2, 0.4]

    play(script)


def test_a_reload_returns_when_every_worker_has_carried_it_out() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        for worker in yard.workers:
            worker.orders()
        yard.extra = "second"
        reload = asyncio.ensure_future(yard.crew.reload())
        await asyncio.sleep(0.01)
        assert not reload.done()
        for worker in yard.workers:
            orders = worker.orders()
            assert orders is not None and orders.extra == "second"
            worker.say("READY=1\nSTATUS=fine")
        await asyncio.wait_for(reload, 5)
        assert yard.crew.at_work == 2

    play(script)


def test_at_the_end_workers_are_told_and_none_is_started_again() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        for worker in yard.workers:
            worker.orders()
        stop = asyncio.ensure_future(yard.crew.stop(5.0))
        await asyncio.sleep(0)
        for worker in yard.workers:
            assert worker.orders() is None
            worker.die()
        await asyncio.wait_for(stop, 5)
        assert len(yard.workers) == 2

    assert not [name for name, _ in play(script) if name == "worker-ended"]


def test_one_that_does_not_end_within_the_grace_is_killed() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        yard.workers[0].link.shutdown(socket.SHUT_RD)
        await asyncio.wait_for(yard.crew.stop(0.01), 5)
        assert all(worker.process.was_killed for worker in yard.workers)

    play(script)


def test_a_seat_hears_of_new_orders_and_of_the_end() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        worker = yard.workers[0]
        seat = Seat(1, worker.link, [])
        assert seat.orders.extra == "first"
        heard: list[str] = []
        seat.attend(asyncio.get_running_loop(), lambda: heard.append("reload"), lambda: heard.append("end"))
        yard.extra = "second"
        reload = asyncio.ensure_future(yard.crew.reload())
        await yard.until(lambda: heard == ["reload"])
        assert seat.orders.extra == "second"
        seat.upward.ready("fine")
        yard.workers[1].say("READY=1")
        await asyncio.wait_for(reload, 5)
        stop = asyncio.ensure_future(yard.crew.stop(0.05))
        await yard.until(lambda: heard == ["reload", "end"])
        await stop

    play(script)


def test_a_worker_is_not_started_by_hand() -> None:
    with pytest.raises(ValueError):
        Seat.take(1, {})


def test_the_end_of_a_process_in_words() -> None:
    assert reason_of(0) == "exit code 0"
    assert reason_of(-11) == "killed by SIGSEGV"
    assert reason_of(-64) == "killed by signal 64" or reason_of(-64).startswith("killed by SIG")


def test_a_worker_that_stands_still_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.crew.SILENT", 0.02)

    async def script(yard: Yard) -> None:
        await yard.crew.start()
        await yard.until(lambda: len(yard.workers) >= 3)
        assert yard.workers[0].process.was_killed or yard.workers[1].process.was_killed

    said = play(script)
    assert next(fields["reason"] for name, fields in said if name == "worker-ended").startswith("silent for")


def test_a_worker_that_cannot_be_spawned_again_is_tried_again() -> None:
    async def script(yard: Yard) -> None:
        await yard.crew.start()
        spawn, failures = yard.crew._spawn, [OSError(11, "no more processes")]

        def hesitant(number: int) -> Hand:
            if failures:
                raise failures.pop()
            return spawn(number)

        yard.crew._spawn = hesitant
        yard.workers[0].die(1)
        await yard.until(lambda: len(yard.workers) == 3 and yard.crew.at_work == 2)

    said = play(script)
    assert ("worker-ended", {"worker": 1, "reason": "cannot be started: no more processes"}) in said
