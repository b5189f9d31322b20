"""The reactor of the daemons: Twisted's on asyncio's loop, without the context that Twisted's old log wants.

Twisted reads every connection in a context that names it for twisted.python.log. Our events name themselves, and that
context costs a busy server a twentieth of its time. A fault is still caught, told, and ends its connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.main import installReactor
from twisted.internet.tcp import Connection, Port

from shared.transport.prompt import PromptServer


class PlainReactor(AsyncioSelectorReactor):
    """Leans on three private names of its base, which have been there since it came (Twisted 16.5)."""

    _readers: dict[Any, int]
    _asyncioEventloop: asyncio.AbstractEventLoop

    def addReader(self, reader: Any) -> None:
        if reader in self._readers:
            return
        if not isinstance(reader, Connection | Port):
            super().addReader(reader)  # type: ignore[no-untyped-call]
            return
        descriptor = reader.fileno()
        if isinstance(reader, PromptServer):
            self._asyncioEventloop.add_reader(descriptor, reader.read)
        else:
            self._asyncioEventloop.add_reader(descriptor, self._readOrWrite, reader, True)
        self._readers[reader] = descriptor

    def removeReader(self, reader: Any) -> None:
        descriptor = self._readers.pop(reader, None)
        if descriptor is None:
            super().removeReader(reader)  # type: ignore[no-untyped-call]
        else:
            self._asyncioEventloop.remove_reader(descriptor)


def install(loop: asyncio.AbstractEventLoop) -> Any:
    """Twisted's reactor from now on."""
    reactor = PlainReactor(loop)
    installReactor(reactor)  # type: ignore[no-untyped-call]
    return reactor
