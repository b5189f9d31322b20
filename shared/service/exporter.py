"""The metrics of a daemon on their way to Prometheus.

Each process writes its counts into a small file of the run folder every two seconds. Of the daemons on this host that
have the same `metrics.listen`, the first one answers there for all; when it ends another takes its place. So there is
one address to be scraped, whichever daemons run and however many workers there are. What is counted is in
shared/observe.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.observe import events, metrics
from shared.observe.counting import Counting
from shared.observe.exposition import CONTENT_TYPE, dump, from_json, render
from shared.observe.log import EventLog
from shared.observe.metrics import Counts
from shared.service.queue_gauges import QueueGauges

#  Seconds: how old the numbers of another process may be; how often the loop's lag is looked at; how long a daemon
#  that could not open the address waits; how long the file of a daemon that says nothing more is believed.
WRITE_EVERY, LOOK_EVERY, AGAIN, STALE = 2.0, 0.5, 5.0, 30.0
#  The daemons have accounts of their own; what of it the group may do, the umask says (shared/spool/sharing.py).
FOLDER_MODE = 0o770


class Counter:
    """One process that counts. `worker` 0 is the daemon itself. A worker that takes the place of one that died goes
    on with its counts, so that the sums never go back."""

    def __init__(self, folder: Path, daemon: str, worker: int, log: EventLog) -> None:
        self.counts = Counts()
        self._path = folder / (f"{daemon}.{worker}.json" if worker else f"{daemon}.json")
        self._family = os.getppid() if worker else os.getpid()
        self._listening = log.watched(Counting(self.counts).hear)
        self._log = log
        self._is_silent = False
        self._tasks: list[asyncio.Task[None]] = []
        self._spent = 0.0
        self._started = time.time()

    def start(self) -> None:
        self._inherit()
        self._listening.__enter__()
        self._tasks = [asyncio.ensure_future(self._look()), asyncio.ensure_future(self._keep_writing())]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._listening.__exit__(None, None, None)
        try:
            if self._family == os.getpid():
                self._path.unlink(missing_ok=True)
            else:
                self.write()
        except OSError:
            pass  #  it grows stale

    def write(self) -> None:
        """Raises OSError."""
        self._measure()
        self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(dump(self.counts, family=self._family, at=time.time()))
        part.rename(self._path)

    def _inherit(self) -> None:
        said = _read(self._path)
        if said is None or said[0] != self._family:
            return
        self.counts.merge(said[1])
        #  What was of that moment went with the process.
        for gauge in (metrics.OPEN_SESSIONS, metrics.MEMORY, metrics.STARTED):
            self.counts.numbers.pop(gauge, None)

    def _measure(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = used.ru_utime + used.ru_stime
        self.counts.add(metrics.CPU, spent - self._spent)
        self._spent = spent
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
        self.counts.put(metrics.MEMORY, pages * resource.getpagesize())
        if self._family == os.getpid():
            self.counts.put(metrics.STARTED, self._started)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self.counts.observe(metrics.LAG, max(loop.time() - due, 0.0))

    async def _keep_writing(self) -> None:
        while True:
            try:
                self.write()
                self._is_silent = False
            except OSError as error:
                if not self._is_silent:
                    self._is_silent = True
                    self._log.event(events.METRICS_TROUBLE, path=str(self._path), reason=error.strerror)
            await asyncio.sleep(WRITE_EVERY)


def _read(path: Path) -> tuple[int, Counts, float] | None:
    """The family, its counts and when they were written; None when the file is gone or not one of ours."""
    try:
        said = json.loads(path.read_text())
        return int(said["family"]), from_json(said), float(said["at"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def gather(folder: Path, daemons: tuple[str, ...], now: float) -> dict[str, Counts]:
    """The counts of the daemons that are at work, each with those of its workers."""
    found: dict[str, Counts] = {}
    for daemon in daemons:
        said = _read(folder / f"{daemon}.json")
        if said is None or now - said[2] > STALE:
            continue
        family, counts, _ = said
        for path in sorted(folder.glob(f"{daemon}.*.json")):
            worker = _read(path)
            #  One that is just being replaced is counted still: its numbers are the sum's past.
            if worker is not None and worker[0] == family:
                counts.merge(worker[1])
        found[daemon] = counts
    return found


DAEMONS = ("mercury-s", "mercury-c", "mercury-e")


class Exporter:
    """`listen` is host and port. `start` and `stop` once each, in the loop's thread; a daemon, never a worker."""

    def __init__(
        self, folder: Path, listen: tuple[str, int], gauges: QueueGauges, write: Callable[[], None], log: EventLog
    ) -> None:
        self._folder = folder
        self._listen = listen
        self._gauges = gauges
        self._write = write
        self._log = log
        self._lock = -1
        self._port: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._open())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening().asFuture(asyncio.get_running_loop())
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _open(self) -> None:
        """Until it is ours. That another daemon of ours has it is as it should be; anything else is said, once."""
        is_said = False
        while True:
            try:
                if self._lock >= 0 or self._take_lock():
                    self._bind()
                    host, port = self._listen
                    self._log.event(events.LISTENING, address=host, port=port, kind="metrics")
                    return
            except Exception as error:
                if not is_said:
                    is_said = True
                    host, port = self._listen
                    self._log.event(events.METRICS_TROUBLE, address=host, port=port, reason=str(error))
            await asyncio.sleep(AGAIN)

    def _take_lock(self) -> bool:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "listener.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _bind(self) -> None:
        from twisted.internet import reactor
        from twisted.web.server import Site

        site: Any = Site(_page(self._render), timeout=30)  # type: ignore[no-untyped-call]
        site.noisy = False
        listening: Any = reactor
        self._port = listening.listenTCP(self._listen[1], site, interface=self._listen[0])

    async def _render(self) -> bytes:
        #  What cannot be written has been said; the others' numbers are still worth seeing.
        with contextlib.suppress(OSError):
            self._write()
        return await asyncio.get_running_loop().run_in_executor(None, self._text)

    def _text(self) -> bytes:
        daemons = gather(self._folder, DAEMONS, time.time())
        spool = Counts()
        spool.merge(self._gauges.look())
        for daemon in DAEMONS:
            spool.put(metrics.UP, float(daemon in daemons), daemon)
        return render(daemons, spool).encode()


def _page(render_text: Callable[[], Any]) -> Any:
    """`/metrics`; everything else is not found. Only GET and HEAD."""
    from twisted.web.resource import Resource
    from twisted.web.server import NOT_DONE_YET

    class Page(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> Any:
            gone: list[object] = []
            request.notifyFinish().addErrback(gone.append)
            task = asyncio.ensure_future(self._answer(request, gone))
            request.mercury_task = task  #  so that it is not collected
            return NOT_DONE_YET

        async def _answer(self, request: Any, gone: list[object]) -> None:
            try:
                body = await render_text()
            except Exception as error:
                request.setResponseCode(500)
                body = f"{type(error).__name__}\n".encode()
            if gone:
                return
            request.setHeader("content-type", CONTENT_TYPE)
            request.setHeader("content-length", str(len(body)))
            if request.method != b"HEAD":
                request.write(body)
            request.finish()

    root: Any = Resource()  # type: ignore[no-untyped-call]
    root.putChild(b"metrics", Page())  # type: ignore[no-untyped-call]
    return root
