"""A crew: the worker processes of a daemon, started, watched over, started again when they die, ended with it.

Every worker holds the same listening sockets, so a client that one of them had not accepted yet is taken by another,
also when one dies. A worker that dies at once, again and again, is started ever more slowly. What a worker and its
daemon say to one another is seat.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from shared.observe import events
from shared.observe.log import log
from shared.service.seat import VARIABLE, Orders, send_orders
from shared.service.trouble import StartTrouble

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
#  A worker that ran so long and then died did not die of its start.
_SETTLED = 60.0
#  It says every five seconds that it is alive; when it has not for so long, its loop stands still with its clients.
SILENT = 60.0
_START_SECONDS = 30.0
_RELOAD_SECONDS = 15.0
_EXIT_SECONDS = 5.0


class Process(Protocol):
    """A worker's process, as subprocess.Popen has it."""

    pid: int

    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


class Hand:
    """One running worker."""

    def __init__(self, process: Process, link: socket.socket) -> None:
        self.process = process
        self.link = link
        self.is_ready = asyncio.Event()
        self.trouble = ""

    def heard(self, text: str) -> None:
        if text.startswith("READY=1"):
            self.is_ready.set()
        elif text.startswith("TROUBLE="):
            self.trouble = text.removeprefix("TROUBLE=")


Spawn = Callable[[int], Hand]


class Crew:
    """`spawn(number)` starts a worker; `orders` are what it works by; `ended(number)` clears up after one."""

    def __init__(
        self,
        size: int,
        spawn: Spawn,
        orders: Callable[[], Orders],
        ended: Callable[[int], object] = lambda number: None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._size = size
        self._spawn = spawn
        self._orders = orders
        self._ended = ended
        self._sleep = sleep
        self._hands: dict[int, Hand] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_ending = False
        self._has_started = False

    @property
    def at_work(self) -> int:
        return sum(1 for hand in self._hands.values() if hand.is_ready.is_set())

    async def start(self) -> None:
        """Returns when every worker takes clients. Raises StartTrouble when one ends instead."""
        self._keepers = [asyncio.ensure_future(self._keep(number)) for number in range(1, self._size + 1)]
        await asyncio.sleep(0)  # each keeper spawns in its first step
        all_ready = asyncio.ensure_future(self._all_ready())
        await asyncio.wait([all_ready, *self._keepers], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if all_ready.done() and self.at_work == self._size:
            self._has_started = True
            return
        all_ready.cancel()
        failed = [error for keeper in self._keepers if keeper.done() and (error := keeper.exception()) is not None]
        if failed:
            raise failed[0]
        raise StartTrouble(
            "start its workers: they are not ready in time", "see the event log for what they wait for"
        )

    async def reload(self) -> None:
        """New orders for everyone; returns when they are carried out, or after a while."""
        waiting = []
        for hand in self._hands.values():
            if hand.is_ready.is_set():
                hand.is_ready.clear()
                waiting.append(asyncio.ensure_future(hand.is_ready.wait()))
                self._send(hand)
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=_RELOAD_SECONDS)
            for task in late:
                task.cancel()

    async def stop(self, grace: float) -> None:
        """Workers take nobody new and finish what is in flight; those that take longer than `grace` are killed."""
        self._is_ending = True
        for number in range(1, self._size + 1):
            if number in self._hands:
                _say_end(self._hands[number].link)
        if not self._keepers:
            return
        _, late = await asyncio.wait(self._keepers, timeout=grace)
        if late:
            for hand in self._hands.values():
                hand.process.kill()
            await asyncio.wait(late, timeout=_EXIT_SECONDS)

    async def _all_ready(self) -> None:
        for hand in list(self._hands.values()):
            await hand.is_ready.wait()

    def _send(self, hand: Hand) -> None:
        try:
            send_orders(hand.link, self._orders())
        except OSError as error:
            #  Gone already, or it stands still: either way the one that comes after it gets the new orders.
            log.event(events.WORKER_ENDED, pid=hand.process.pid, reason=f"takes no orders: {error}")
            hand.process.kill()

    async def _keep(self, number: int) -> None:
        """One seat, always taken."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while not self._is_ending:
            began = loop.time()
            reason = await self._work(number)
            if self._is_ending:
                return
            log.event(events.WORKER_ENDED, worker=number, reason=reason)
            if not self._has_started:
                raise StartTrouble(f"start worker {number}: {reason}", "see the event log")
            if loop.time() - began > _SETTLED:
                pause = FIRST_PAUSE
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _work(self, number: int) -> str:
        """One worker from its start to its end; the reason of the end."""
        try:
            hand = self._hands[number] = self._spawn(number)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        self._send(hand)
        reason = await self._attend(number, hand)
        del self._hands[number]
        self._ended(number)
        return hand.trouble or reason

    async def _rest(self, seconds: float) -> None:
        rest = asyncio.ensure_future(self._sleep(seconds))
        while not rest.done() and not self._is_ending:
            await asyncio.wait([rest], timeout=FIRST_PAUSE)
        rest.cancel()

    async def _attend(self, number: int, hand: Hand) -> str:
        """Until it has ended; the reason."""
        loop = asyncio.get_running_loop()
        silent = ""
        was_ready = False
        try:
            while True:
                try:
                    said = await asyncio.wait_for(loop.sock_recv(hand.link, 4096), SILENT)
                except ConnectionResetError:
                    continue  # gone, with orders unread; its last words stand behind this error
                if not said:
                    break
                hand.heard(said.decode("utf-8", "replace"))
                if hand.is_ready.is_set() and not was_ready:
                    was_ready = True
                    log.event(events.WORKER_STARTED, worker=number, pid=hand.process.pid)
        except TimeoutError:
            silent = f"silent for {SILENT:g} s, killed"
            hand.process.kill()
        hand.is_ready.clear()
        hand.link.close()
        code = await loop.run_in_executor(None, _reap, hand.process)
        return silent or reason_of(code)


def _reap(process: Process) -> int:
    try:
        return process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def reason_of(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _say_end(link: socket.socket) -> None:
    try:
        link.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has gone already


def spawn_process(command: Sequence[str], number: int, descriptors: Sequence[int]) -> Hand:
    """A worker as a program begun anew: nothing of the threads and locks of this one goes with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    numbers = [theirs.fileno(), *descriptors]
    try:
        process = subprocess.Popen(
            [*command, "--worker", str(number)],
            stdin=subprocess.DEVNULL,
            pass_fds=numbers,
            env={**os.environ, VARIABLE: ",".join(map(str, numbers))},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Hand(process, ours)
