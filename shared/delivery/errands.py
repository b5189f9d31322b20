"""Errands: blocking calls that a thread runs, many to a trip.

Whatever is asked for while one group is under way goes together in the next, so that thousands of small file
operations a second cost a few hundred changes of thread. Knows nothing of mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")
Errand = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class Errands:
    """Call `ask` from the loop's thread only. One group runs at a time, its errands in the order they were asked."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: list[Errand] = []
        self._is_out = False

    def ask(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """What `work(*arguments)` returns or raises. Nobody calls it off: it runs even if the asker is gone."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, arguments, answer))
        if not self._is_out:
            self._is_out = True
            loop.call_soon(self._set_out)
        return answer

    def _set_out(self) -> None:
        if not self._waiting:
            self._is_out = False
            return
        group, self._waiting = self._waiting, []
        try:
            trip = asyncio.get_running_loop().run_in_executor(self._executor, _run, group)
        except RuntimeError as error:
            #  The executor was shut down under us: every errand has failed, and nobody waits for ever.
            self._come_back(group, [error] * len(group))
            return
        trip.add_done_callback(lambda trip: self._come_back(group, _results_of(trip, len(group))))

    def _come_back(self, group: list[Errand], results: list[Any]) -> None:
        for (_, _, answer), result in zip(group, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)
        self._set_out()


def _results_of(trip: asyncio.Future[list[Any]], count: int) -> list[Any]:
    if trip.cancelled():
        return [RuntimeError("the executor was shut down")] * count
    return trip.result()


def _run(group: list[Errand]) -> list[Any]:
    results: list[Any] = []
    for work, arguments, _ in group:
        try:
            results.append(work(*arguments))
        except Exception as error:
            results.append(error)
    return results
