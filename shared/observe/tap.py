"""Who looks on at the dialogues of this process, and what they are shown (`mercury trace`).

While nobody does, `tap.is_on` is False, and that is all a new connection asks. A dialogue is shown from its beginning
or not at all. Who reads too slowly loses lines and is told how many; a dialogue never waits for who looks on.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from shared.mail.record import dataclass
from shared.smtp.overheard import Overheard

MOST_WATCHERS = 4
#  Lines that wait for a slow reader, and of a dialogue that has not shown yet whether it is meant.
MOST_WAITING = 2000
MOST_UNDECIDED = 200

CLIENT, SERVER, NOTE = "client", "server", "note"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dialogues; empty: all. `peer` is an address, a network or the name of a host, `to` an address or a
    domain, `id` a queue id."""

    peer: str = ""
    to: str = ""
    id: str = ""

    def may_be(self, host: str, address: str) -> bool:
        if not self.peer or self.peer.lower().rstrip(".") == host.lower():
            return True
        try:
            return ip_address(address.partition("%")[0]) in ip_network(self.peer, strict=False)
        except ValueError:
            return False

    @property
    def is_open(self) -> bool:
        return bool(self.to or self.id)

    def is_met(self, who: str, text: str) -> bool:
        if self.id and who != CLIENT and self.id.lower() in text.lower():
            return True
        if not self.to or who != CLIENT or text[:8].upper() != "RCPT TO:":
            return False
        address = text[8:].strip().lstrip("<").partition(">")[0].lower()
        wanted = self.to.lower()
        return address == wanted if "@" in wanted.lstrip("@") else address.endswith("@" + wanted.lstrip("@"))


class Watcher:
    """One who looks on. `next` gives what there is, or what was lost."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.is_gone = False
        self._lines: deque[Mapping[str, Any]] = deque()
        self._dropped = 0
        self._news = asyncio.Event()

    def tell(self, line: Mapping[str, Any]) -> None:
        if self.is_gone:
            return
        if len(self._lines) >= MOST_WAITING:
            self._dropped += 1
        else:
            self._lines.append(line)
        self._news.set()

    async def next(self, seconds: float) -> list[Mapping[str, Any]]:
        """What has come; empty when nothing did within `seconds`."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return []
        self._news.clear()
        lines, dropped = list(self._lines), self._dropped
        self._lines.clear()
        self._dropped = 0
        return [*lines, {"dropped": dropped}] if dropped else lines


class _Onlooker:
    """A watcher at one dialogue: what is kept back until it is clear whether this one is meant."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._undecided: deque[Mapping[str, Any]] | None = (
            deque(maxlen=MOST_UNDECIDED) if watcher.wanted.is_open else None
        )

    def tell(self, line: Mapping[str, Any]) -> None:
        kept = self._undecided
        if kept is None:
            self._watcher.tell(line)
            return
        kept.append(line)
        if self._watcher.wanted.is_met(line["who"], line["text"]):
            self._undecided = None
            for one in kept:
                self._watcher.tell(one)


class Dialogue:
    """One connection that is looked at, from either side."""

    def __init__(self, number: int, peer: str, onlookers: list[_Onlooker]) -> None:
        self._number = number
        self._peer = peer
        self._onlookers = onlookers
        self._overheard = Overheard()

    def client(self, data: bytes) -> None:
        for text in self._overheard.client(data):
            self._tell(CLIENT, text)

    def server(self, data: bytes) -> None:
        for text in self._overheard.server(data):
            self._tell(SERVER, text)

    def note(self, text: str) -> None:
        self._tell(NOTE, text)

    def secured(self, words: str) -> None:
        self._overheard.secured()
        self._tell(NOTE, words)

    def _tell(self, who: str, text: str) -> None:
        line = {"at": round(time.time(), 3), "dialogue": self._number, "peer": self._peer, "who": who, "text": text}
        for onlooker in self._onlookers:
            onlooker.tell(line)


class Tap:
    """`is_on`: somebody looks on."""

    def __init__(self) -> None:
        self.is_on = False
        self._watchers: set[Watcher] = set()
        self._numbers = itertools.count(1)

    def watch(self, wanted: Wanted) -> Watcher | None:
        """None when enough look on."""
        if len(self._watchers) >= MOST_WATCHERS:
            return None
        watcher = Watcher(wanted)
        self._watchers.add(watcher)
        self.is_on = True
        return watcher

    def leave(self, watcher: Watcher) -> None:
        watcher.is_gone = True
        self._watchers.discard(watcher)
        self.is_on = bool(self._watchers)

    def listen(self, peer: str, host: str, address: str) -> Dialogue | None:
        """A connection begins. None: nobody wants this one."""
        onlookers = [_Onlooker(one) for one in self._watchers if one.wanted.may_be(host, address)]
        return Dialogue(next(self._numbers), peer, onlookers) if onlookers else None


#  Like the log: one a process.
tap = Tap()
