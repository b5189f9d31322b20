"""What a daemon does when it is asked over its control socket: tell its status and its sessions, say when an entry is
no longer in flight, carry out an act of an operator, reload. Around any daemon, and around each worker.

The socket opens when the daemon has started and closes before it stops. The protocol is control.py.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol, runtime_checkable

from shared.config.model import Config
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.service.accounts import account_of, login_of, viewers_of
from shared.service.acts import RETRY, Act, audited
from shared.service.control import Answer, ControlSocket, Denied, Peer, Rights, Service
from shared.service.control_client import Unanswered, ask, let_go, relent, socket_path
from shared.service.life import Daemon, Progressing, Reloaded
from shared.service.onlooker import tell_dialogues
from shared.service.operator import NAME, Hands, lane_of
from shared.service.site_words import table_in_force
from shared.spool.owner import Owner
from shared.spool.queue_entry import QueueEntry
from shared.spool.selection import Selection
from shared.spool.spool import Spool
from shared.state.audit import AuditLog, Caller

LONGEST_WAIT = 300.0
_LONGEST_PERSON = 320


@runtime_checkable
class Telling(Protocol):
    """A daemon that can be looked into."""

    def sessions(self) -> list[dict[str, Any]]:
        """Who is connected, and what is on its way, one flat object each."""

    async def wait_for(self, lane: Lane, name: str, seconds: float) -> bool:
        """Until the entry is no longer in flight here; False when the time was over before."""


@runtime_checkable
class Relenting(Protocol):
    """A daemon that for some time does not try again whom it could not reach."""

    def relent(self) -> None:
        """Try them now."""


class Controlled:
    """Satisfies shared.service.life.Daemon, as `outer` does, which is `daemon` or stands around it."""

    def __init__(
        self,
        name: str,
        daemon: Daemon,
        outer: Daemon,
        config: Config,
        reload: Callable[[], Awaitable[Reloaded]] | None = None,
        acts: bool = True,
    ) -> None:
        """`reload` None: a worker. `acts`: whether an operator may have the spool changed by it."""
        self._name = name
        self._daemon = daemon
        self._outer = outer
        self._config = config
        self._ask_reload = reload
        self._since = time.time()
        services = {
            "status": Service(self._tell_status, is_open=True),
            #  Harmless, and asked by who has become the account of the spool, whom a daemon in a user namespace of
            #  its own cannot tell from a stranger.
            "wait": Service(self._wait, is_open=True),
            "sessions": Service(self._tell_sessions, is_look=True),
            "trace": Service(tell_dialogues, is_look=True),
        }
        if reload is not None:
            services["reload"] = Service(self._reload)
        if reload is not None and acts:
            services["act"] = Service(self._act)
        if isinstance(daemon, Relenting):
            services["relent"] = Service(self._relent)
        self._socket = ControlSocket(socket_path(config.run, name), services, self._rights)

    async def start(self) -> None:
        await self._outer.start()
        await self._socket.open()

    async def reload(self, config: Config) -> None:
        await self._outer.reload(config)
        self._config = config

    async def stop(self, grace: float) -> None:
        await self._socket.close()
        await self._outer.stop(grace)

    def status(self) -> str:
        return self._outer.status()

    def is_progressing(self) -> bool:
        return not isinstance(self._outer, Progressing) or self._outer.is_progressing()

    # ---- what is answered ----

    def _rights(self) -> Rights:
        viewers, groups = viewers_of(self._config.control.viewers)
        gid = os.stat(self._config.spool).st_gid
        return Rights(os.geteuid(), gid, viewers=viewers, viewing_groups=groups)

    async def _tell_status(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        yield {"daemon": self._name, "pid": os.getpid(), "since": round(self._since, 3), "status": self.status()}

    async def _tell_sessions(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        if isinstance(self._daemon, Telling):
            for session in self._daemon.sessions():
                yield session
        if self._ask_reload is None:
            return
        for path in sorted(self._config.run.glob(f"{self._name}.[0-9]*.sock")):
            worker = path.name.removeprefix(f"{self._name}.").removesuffix(".sock")
            try:
                async for session in ask(path, {"do": "sessions"}, 5.0):
                    yield {**session, "worker": int(worker)}
            except (Unanswered, ValueError):
                continue  #  A worker that is just ending, or what a killed one has left.

    async def _wait(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        lane, name, seconds = lane_of(str(request.get("lane"))), request.get("name"), request.get("seconds", 10)
        if lane is None or not isinstance(name, str) or not isinstance(seconds, (int, float)):
            raise Denied("say lane, name and seconds")
        has_ended = True
        if isinstance(self._daemon, Telling):
            has_ended = await self._daemon.wait_for(lane, name, min(max(seconds, 0.0), LONGEST_WAIT))
        yield {"ended": has_ended}

    async def _reload(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        assert self._ask_reload is not None, "only who can reload is asked to"
        done = await self._ask_reload()
        if done.refused:
            raise Denied(done.refused)
        told = {"changed": list(done.changed), "restart": list(done.restart)}
        yield {"daemon": self._name, "status": self.status(), **told}

    async def _relent(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        assert isinstance(self._daemon, Relenting), "only who can is asked to"
        self._daemon.relent()
        yield {"daemon": self._name}

    async def _act(self, request: Mapping[str, Any], peer: Peer) -> Answer:
        """The same as the `mercury` command does on the spool, in the name of who asks."""
        act, config = _act_of(request, peer), self._config
        spool = Spool(config.spool, socket.gethostname(), log.event)
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="operator")
        owner = Owner(spool, NAME)

        async def wait(entry: QueueEntry, holder: str) -> str:
            return await let_go(config.run, entry, holder)

        hands = Hands(
            spool, owner, table_in_force(config), executor, act.caller.by, act.reason, log.event, wait, time.time
        )
        try:
            entries = await hands.in_thread(lambda: list(act.entries(hands)))
            if request.get("rehearse"):
                for entry in entries:
                    yield {"id": entry.id, "lane": entry.lane.word}
                return
            await hands.in_thread(owner.begin)
            if act.verb == RETRY:
                await relent(config.run)
            with closing(AuditLog(config.state, time.time)) as audit:
                async for end in audited(act, entries, hands, config, audit, self._name):
                    yield end.as_json()
        finally:
            owner.end()
            executor.shutdown(wait=False)


def _act_of(request: Mapping[str, Any], peer: Peer) -> Act:
    """Raises ValueError."""
    selection, options = request.get("selection", {}), request.get("options", {})
    if not isinstance(selection, dict) or not isinstance(options, dict):
        raise ValueError("selection and options are objects")
    caller = Caller(peer.uid, account_of(peer.uid), login_of(str(peer.pid)), _person(request.get("for", "")))
    words = {str(key): str(value) for key, value in options.items()}
    return Act(
        str(request.get("verb")), Selection.from_json(selection), caller, str(request.get("reason", "")), words
    )


def _person(said: object) -> str:
    """For whom the caller says that it acts: the login at the status page. Raises ValueError."""
    if not isinstance(said, str) or len(said) > _LONGEST_PERSON or not said.isprintable():
        raise ValueError("`for` is the name of somebody")
    return said
