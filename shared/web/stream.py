"""What changes, as it changes: server-sent events to every open page.

The host is looked at once for all pages, and only while one is open (the pulse is kept up with in any case). A part
of the overview is sent when it differs from what that page has. A page that does not read is skipped, then let go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from shared.observe.faults import fault
from shared.observe.log import log

#  Seconds: between two looks; between two while nobody looks; without a word to a page; without its reading.
EVERY, IDLE, HEARTBEAT, LONGEST_STALL = 2.0, 15.0, 15.0, 60.0
MOST = 40


class Stream:
    """One open page. `write` takes octets; `is_allowed` is asked before each sending."""

    def __init__(
        self, write: Callable[[bytes], object], finish: Callable[[], object], is_allowed: Callable[[], bool]
    ) -> None:
        self._write = write
        self._finish = finish
        self._is_allowed = is_allowed
        self._sent: dict[str, str] = {}
        self._last = 0.0
        self.is_stalled = False

    def send(self, parts: dict[str, str], now: float) -> bool:
        """False when the page is let go."""
        if not self._is_allowed() or (self.is_stalled and now - self._last > LONGEST_STALL):
            self.close()
            return False
        if self.is_stalled:
            return True
        new = {name: text for name, text in parts.items() if self._sent.get(name) != text}
        if new:
            self._write("".join(f"event: {name}\ndata: {text}\n\n" for name, text in new.items()).encode())
            self._sent |= new
        elif now - self._last > HEARTBEAT:
            self._write(b": all is as it was\n\n")
        else:
            return True
        self._last = now
        return True

    def close(self) -> None:
        self._finish()


class Streams:
    """`look` gives the overview, `beat` keeps up while nobody looks."""

    def __init__(self, look: Callable[[], Awaitable[dict[str, Any]]], beat: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self._beat = beat
        self._open: set[Stream] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._keep_looking())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        for stream in list(self._open):
            stream.close()

    def add(self, stream: Stream) -> bool:
        """False when there are too many."""
        if len(self._open) >= MOST:
            return False
        self._open.add(stream)
        self._wanted.set()
        return True

    def remove(self, stream: Stream) -> None:
        self._open.discard(stream)

    def look_now(self) -> None:
        """Somebody has changed something."""
        self._wanted.set()

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._round(loop.time)
            except Exception as error:
                fault(log, error, "overview of the page")
            self._wanted.clear()
            try:
                await asyncio.wait_for(self._wanted.wait(), EVERY if self._open else IDLE)
            except TimeoutError:
                pass

    async def _round(self, clock: Callable[[], float]) -> None:
        if not self._open:
            await self._beat()
            return
        seen = await self._look()
        parts = {name: json.dumps(part, separators=(",", ":")) for name, part in seen.items()}
        for stream in list(self._open):
            if not stream.send(parts, clock()):
                self.remove(stream)
