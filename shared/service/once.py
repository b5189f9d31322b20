"""One piece of work on a reactor of its own, for a process that asks the network, tells, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


def run_once(work: Callable[[Any], Awaitable[Value]]) -> Value:
    """What `work(reactor)` returns or raises; KeyboardInterrupt when it was broken off. Once in a process."""
    from shared.service.reactor import install

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    reactor = install(loop)
    ends: list[Value | BaseException] = []

    async def to_its_end() -> None:
        try:
            ends.append(await work(reactor))
        except BaseException as error:
            ends.append(error)
        finally:
            reactor.stop()

    tasks: list[asyncio.Task[None]] = []
    reactor.callWhenRunning(lambda: tasks.append(loop.create_task(to_its_end())))
    reactor.run()
    if not ends:
        raise KeyboardInterrupt
    if isinstance(ends[0], BaseException):
        raise ends[0]
    return ends[0]
