"""An event loop whose hours pass at once: when nothing is ready it jumps to the next timer instead of waiting.

For coroutines that sleep, wait and time out; days take milliseconds, and the order of things is that of real time.
Nothing outside of the loop may be waited for: no socket, no thread.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")

#  Where the clocks of tests begin, in Unix seconds.
BEGIN = 1_800_000_000.0
#  A loop that has nothing to do and no timer would never end.
TOO_LONG = 40 * 86400.0


class _Hours(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    def __init__(self, loop: HourLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits and nothing will ever happen")
        self._loop.passed += timeout
        if self._loop.passed > TOO_LONG:
            raise RuntimeError("the test goes on for more than forty days")
        return super().select(0)


class HourLoop(asyncio.SelectorEventLoop):
    """`clock()` is Unix time; `jump` sets it as an operator would, without a second passing."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.offset = BEGIN
        super().__init__(_Hours(self))

    def time(self) -> float:
        return self.passed

    def clock(self) -> float:
        return self.offset + self.passed

    def jump(self, seconds: float) -> None:
        self.offset += seconds


class PromptExecutor(Executor):
    """Runs what it is given at once, in this thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def run_hours(main: Coroutine[Any, Any, T], loop: HourLoop | None = None) -> T:
    """Run `main` to its end in a loop of its own."""
    loop = loop or HourLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, TOO_LONG / 2))
    finally:
        loop.close()
