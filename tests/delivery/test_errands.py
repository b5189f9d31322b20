"""Errands: grouped, in order, each with its own end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
from fakes.hours import PromptExecutor

from shared.delivery.errands import Errands


class LateExecutor(PromptExecutor):
    """Runs what it was given when the test says so."""

    def __init__(self) -> None:
        self.given: list[tuple[Future[Any], Any, tuple[Any, ...]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((future, fn, args))
        return future

    def run_one(self) -> None:
        future, fn, args = self.given.pop(0)
        future.set_result(fn(*args))


def test_what_is_asked_together_goes_together_and_the_rest_next() -> None:
    done: list[int] = []

    async def main() -> None:
        executor = LateExecutor()
        errands = Errands(executor)
        first = [errands.ask(done.append, number) for number in range(3)]
        await asyncio.sleep(0)
        later = [errands.ask(done.append, number) for number in range(3, 6)]
        await asyncio.sleep(0)
        assert len(executor.given) == 1
        executor.run_one()
        assert done == [0, 1, 2]
        await asyncio.gather(*first)
        await asyncio.sleep(0)
        assert len(executor.given) == 1
        executor.run_one()
        await asyncio.gather(*later)
        assert done == [0, 1, 2, 3, 4, 5]

    asyncio.run(main())


def test_one_that_fails_fails_alone() -> None:
    async def main() -> None:
        errands = Errands(PromptExecutor())
        good, bad, last = errands.ask(int, "7"), errands.ask(int, "seven"), errands.ask(int, "8")
        assert await good == 7
        with pytest.raises(ValueError):
            await bad
        assert await last == 8

    asyncio.run(main())


def test_an_asker_who_is_gone_does_not_disturb() -> None:
    done: list[int] = []

    async def main() -> None:
        errands = Errands(PromptExecutor())
        gone, there = errands.ask(done.append, 1), errands.ask(done.append, 2)
        gone.cancel()
        await there
        assert done == [1, 2]
        await errands.ask(done.append, 3)

    asyncio.run(main())


class Closed(PromptExecutor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise RuntimeError("cannot schedule new futures after shutdown")


class Closing(PromptExecutor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future


@pytest.mark.parametrize("executor", [Closed(), Closing()])
def test_an_executor_that_is_gone_fails_every_errand(executor: PromptExecutor) -> None:
    async def main() -> None:
        errands = Errands(executor)
        answers = [errands.ask(int, "7"), errands.ask(int, "8")]
        for answer in answers:
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(answer, 5)

    asyncio.run(main())
