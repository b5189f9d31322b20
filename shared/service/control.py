"""The control socket of a daemon: `<run>/<daemon>.sock`, a unix stream socket. docs/operating.md has the protocol.

One JSON object a line. A request names what is wanted in `do`; answers are lines, the last of them has `end`. Who
asks is told by the kernel (SO_PEERCRED): root, the account of the daemon and the group of the spool may look and act;
everybody else who gets to the socket may ask for the status only.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from shared.mail.record import dataclass
from shared.observe import events
from shared.observe.log import log

#  A request is small; an act on a selection of many ids is the longest.
LONGEST_REQUEST = 1 << 20
#  Who connects and says nothing is let go.
_PATIENCE = 60.0
_MOST_CLIENTS = 64
_PEERGROUPS = 59  #  SO_PEERGROUPS of unix(7); Python has no name for it
_MOST_GROUPS = 256  #  Python's getsockopt takes no more than 1024 octets

#  /proc/sys/kernel/overflowgid, which nobody changes.
NOBODY = 65534

DONE, REFUSED = "done", "refused"

#  Closed as soon as nobody reads on.
Answer = AsyncGenerator[Mapping[str, Any]]
Ask = Callable[[Mapping[str, Any], "Peer"], Answer]


class Denied(Exception):
    """The request is not carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel knows it."""

    pid: int
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rights:
    """`uid` is the account of the daemon, `gid` the group of the spool.

    `nobody` stands for every account and group that a user namespace does not know: in one of its own, a daemon sees
    the group of the spool and that of a stranger as the same number, which therefore says nothing.
    """

    uid: int
    gid: int
    nobody: int = NOBODY
    viewers: frozenset[int] = frozenset()
    viewing_groups: frozenset[int] = frozenset()

    def may_act(self, peer: Peer) -> bool:
        return peer.uid in (0, self.uid) or (self.gid != self.nobody and self.gid in peer.groups)

    def may_look(self, peer: Peer) -> bool:
        """Besides those who may act."""
        return peer.uid in self.viewers or not self.viewing_groups.isdisjoint(peer.groups)


@dataclass(frozen=True, slots=True)
class Service:
    """What a word of `do` leads to. `is_open`: for everybody; `is_look`: for viewers too."""

    ask: Ask
    is_open: bool = False
    is_look: bool = False


class ControlSocket:
    """`services` by their word. `rights` is asked at each request, so that a reload reaches the next."""

    def __init__(self, path: Path, services: Mapping[str, Service], rights: Callable[[], Rights]) -> None:
        self._path = path
        self._services = services
        self._rights = rights
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """A daemon that cannot have its socket goes on without, with an event."""
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_REQUEST)
            os.chmod(self._path, 0o666)
        except OSError as error:
            log.event(events.CONTROL_OFF, path=str(self._path), reason=error.strerror or str(error))

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in list(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) <= _MOST_CLIENTS:
                await self._talk(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.CancelledError):
            pass  #  The other end is gone, says nothing, or says too much at once; or we are to end.
        finally:
            self._clients.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        while line := await asyncio.wait_for(reader.readline(), _PATIENCE):
            async with aclosing(self._answer(line, peer)) as answers:
                async for answer in answers:
                    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
                    await writer.drain()

    async def _answer(self, line: bytes, peer: Peer) -> Answer:
        try:
            request = json.loads(line)
            service = self._services.get(request.get("do", "")) if isinstance(request, dict) else None
            if service is None:
                raise Denied(f"ask for one of: {', '.join(sorted(self._services))}")
            self._require(service, peer)
            async with aclosing(service.ask(request, peer)) as answers:
                async for answer in answers:
                    yield answer
            yield {"end": DONE}
        except (Denied, ValueError) as error:
            yield {"end": REFUSED, "reason": str(error)}
        except OSError as error:
            yield {"end": REFUSED, "reason": error.strerror or str(error)}
        except Exception as error:
            log.event(events.FAULT, where="control socket", error=repr(error))
            yield {"end": REFUSED, "reason": "a fault of the daemon; see its log"}

    def _require(self, service: Service, peer: Peer) -> None:
        if service.is_open:
            return
        rights = self._rights()
        if not (rights.may_act(peer) or (service.is_look and rights.may_look(peer))):
            viewers = ", and for `control.viewers`" if service.is_look else ""
            raise Denied(f"this is for root, the account of the daemon and the group of the spool{viewers}")


def peer_of(sock: Any) -> Peer:
    """Raises OSError."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = {gid}
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, 4 * _MOST_GROUPS)
        groups.update(struct.unpack(f"{len(data) // 4}I", data))
    except OSError:
        pass  #  A kernel before 4.13, or more groups than that: the group it runs under alone.
    return Peer(pid, uid, frozenset(groups))
