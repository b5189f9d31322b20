"""What the page asks of the host: the daemons over their control sockets, spool and history in a thread.

Looks only; acts are asked of a daemon, which carries them out as `mercury queue` does and keeps the audit log.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from shared.config.model import Config
from shared.history.search import History
from shared.routing.lane import Lane
from shared.service.control_client import Unanswered, ask, socket_path
from shared.spool.queue_entry import list_entries
from shared.spool.spool import Spool
from shared.survey.found import Wanted, find_messages
from shared.survey.listing import Listing, describe
from shared.survey.needed import needed_daemons
from shared.survey.pulse import DAEMONS, Pulse
from shared.survey.story import tell
from shared.survey.waiting import Waiting

T = TypeVar("T")

#  Rows of a list, sessions of a daemon, steps of a story, results of a search.
MOST_ROWS, MOST_SESSIONS, MOST_STEPS, MOST_FOUND = 200, 50, 500, 100
#  Seconds: for a daemon that is asked how it is; for an act, which may wait for deliveries to end.
PATIENCE, LONG_PATIENCE = 3.0, 120.0
#  What an act undoes, by what was done. A return and an attempt cannot be undone.
UNDONE_BY = {"hold": "release", "release": "hold", "remove": "undelete", "undelete": "remove"}
_INTENDED = ("retry", "hold", "release", "bounce", "remove", "undelete")
NEED_A_REASON = ("bounce", "remove")


class Office:
    def __init__(self, config: Config) -> None:
        self.config = config
        self._spool = Spool(config.spool, socket.gethostname())
        self._history = History(config.state / "history", config.state / "events")
        self._waiting = Waiting(self._spool)
        self._pulse = Pulse(config.state / "events")
        #  One for what everybody sees, so that it comes in time; one for what somebody asks.
        self._watching = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watching")
        self._asking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="asking")

    def close(self) -> None:
        self._watching.shutdown(wait=False, cancel_futures=True)
        self._asking.shutdown(wait=False, cancel_futures=True)

    # ---- what everybody sees ----

    async def beat(self) -> None:
        """Keep up with what the daemons say, while nobody looks."""
        await self._run(self._watching, self._pulse.beat)

    async def overview(self) -> dict[str, Any]:
        """Part of the page → what it shows."""
        daemons, seen = await asyncio.gather(self._daemons(), self._run(self._watching, self._look))
        return {"daemons": daemons, **seen}

    def _look(self) -> dict[str, Any]:
        self._pulse.beat()
        seen: dict[str, Any] = {
            "consoles": self._pulse.consoles(),
            "plot": self._pulse.plot(),
            "warnings": self._pulse.warnings(),
        }
        try:
            seen["queue"] = {**self._waiting.look(), "free": self._spool.free_bytes(), "trouble": ""}
        except OSError as error:
            trouble = f"{error.filename or self.config.spool}: {error.strerror or error}"
            seen["queue"] = {"lanes": {}, "ages": [], "sites": [], "problems": [], "free": None, "trouble": trouble}
        return seen

    async def _daemons(self) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(self._daemon(name) for name in DAEMONS)))

    async def _daemon(self, name: str) -> dict[str, Any]:
        path = socket_path(self.config.run, name)
        told: dict[str, Any] = {
            "name": name, "is_up": False, "is_needed": name in needed_daemons(self.config),
            "status": "does not run on this host", "sessions": [],
        }  # fmt: skip
        try:
            async for line in ask(path, {"do": "status"}, PATIENCE):
                told |= {"is_up": True, "status": str(line.get("status", "")), "since": line.get("since")}
            sessions = [line async for line in ask(path, {"do": "sessions"}, PATIENCE)]
            told |= {"sessions": sessions[:MOST_SESSIONS], "more": max(len(sessions) - MOST_SESSIONS, 0)}
        except Unanswered as error:
            if told["is_up"] or not error.is_down:
                told["trouble"] = str(error)
        return told

    # ---- what somebody asks ----

    async def listing(self, listing: Listing) -> dict[str, Any]:
        entries, is_more = await self._run(self._asking, lambda: listing.read(self._spool, MOST_ROWS, time.time()))
        return {"entries": [describe(entry) for entry in entries], "is_more": is_more}

    async def message(self, queue_id: str) -> dict[str, Any]:
        """Its entries and its trail; both empty when nothing is known of it."""
        return await self._run(self._asking, lambda: self._message(queue_id))

    def _message(self, queue_id: str) -> dict[str, Any]:
        entries = list_entries(self._spool, tuple(Lane), lambda parts: parts.id == queue_id)
        steps = tell(self._spool, self._history, queue_id)
        return {
            "id": queue_id,
            "entries": [describe(entry) for entry in entries],
            "steps": [step.as_json() for step in steps[-MOST_STEPS:]],
        }

    async def find(self, texts: tuple[str, ...], since: float) -> dict[str, Any]:
        """The newest first."""
        wanted = Wanted(texts=texts, since=since)
        found = await self._run(self._asking, lambda: find_messages(self._history, wanted, MOST_FOUND))
        return {"messages": [message.as_json() for message in found[::-1]], "is_more": len(found) >= MOST_FOUND}

    # ---- what somebody does ----

    async def act(self, verb: str, entries: Iterable[Mapping[str, str]], reason: str, person: str) -> dict[str, Any]:
        """What became of each entry, and what would undo it. Raises ValueError and Unanswered."""
        if verb not in _INTENDED:
            raise ValueError(f"there is no {verb!r} here")
        if verb in NEED_A_REASON and not reason.strip():
            raise ValueError("say why; it is kept in the audit log")
        by_lane: dict[str, list[str]] = {}
        for entry in entries:
            by_lane.setdefault(entry.get("lane", ""), []).append(entry["id"])
        ends: list[dict[str, Any]] = []
        for lane, ids in by_lane.items():
            selection = {"ids": ids, **({"lanes": [lane]} if lane else {})}
            request = {"do": "act", "verb": verb, "selection": selection, "reason": reason, "for": person}
            ends += await self._ask_any(request)
        done = [{"id": str(end.get("id"))} for end in ends if not end.get("wrong")]
        undo = {"verb": UNDONE_BY[verb], "entries": done} if done and verb in UNDONE_BY else None
        return {"ends": ends, "undo": undo}

    async def _ask_any(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Any daemon will do: it acts on the spool, not on its own lane."""
        for daemon in DAEMONS:
            try:
                return [line async for line in ask(socket_path(self.config.run, daemon), request, LONG_PATIENCE)]
            except Unanswered as trouble:
                if not trouble.is_down:
                    raise
        raise Unanswered("no daemon runs that could do it; `mercury queue` on the host can", is_down=True)

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
