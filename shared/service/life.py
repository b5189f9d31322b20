"""The life of a daemon on the reactor: start, ready, reload, watchdog, stop. How it ends is its exit code.

SIGTERM and SIGINT finish what is in flight and end with 0; a second one ends at once with 1. SIGHUP reads the
configuration again; a bad one is refused and the old one stays. Not here: argv, and what happens before there is a
reactor (daemon.py).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from shared.config.load import ConfigErrors
from shared.config.model import Config
from shared.config.standing import changed_keys, need_restart
from shared.mail.record import dataclass
from shared.observe import events
from shared.observe.faults import fault
from shared.observe.log import EventLog
from shared.service.notify import ServiceManager
from shared.service.status_file import REFUSED, WANTS_RESTART
from shared.service.trouble import EXPECTED

GRACE = 10.0
#  What a daemon may take beyond its grace before it is left alone: it knows about the grace, so this is for faults.
_AFTER_GRACE = 2.0
_STATUS_EVERY = 5.0
#  How many changed settings an event names; an event's values are short.
_MOST_NAMES = 6

#  Objects made before the youngest are looked through, and rounds before the older ones are.
_COLLECT_AFTER = (10_000, 20, 20)
#  How long the loop may compute while the thread that writes to disk waits for its turn between two system calls.
_SWITCH_SECONDS = 0.0005

EXIT_DONE, EXIT_TROUBLE = 0, 1


class Daemon(Protocol):
    """What run_daemon runs. May also have `is_progressing() -> bool`; see Progressing."""

    async def start(self) -> None:
        """Returns when mail can be taken. Raises StartTrouble or OSError."""

    async def reload(self, config: Config) -> None:
        """Work by `config` from now on. What cannot change while running is said in an event."""

    async def stop(self, grace: float) -> None:
        """Take nothing new, finish what is in flight within `grace` seconds, let go of the rest."""

    def status(self) -> str:
        """A few words for `systemctl status`."""


@runtime_checkable
class Progressing(Protocol):
    def is_progressing(self) -> bool:
        """False when work waits and none gets done: the watchdog is not fed. Without this method it always is."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """`refused`: why the old configuration stays, or empty. `changed`: the names of the settings that differ now.
    `restart`: those that are in force after a restart only, since the start."""

    refused: str
    changed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


class Life:
    def __init__(
        self,
        name: str,
        log: EventLog,
        manager: ServiceManager,
        load: Callable[[], Config],
        *,
        started: Callable[[], object] = lambda: None,
        say_status: Callable[[str], object] = lambda status: None,
        grace: float = GRACE,
        is_worker: bool = False,
    ) -> None:
        """`load` reads the configuration again; `started` is called once, when start-up has succeeded; `say_status`
        hears the status whenever the service manager does.

        Of a worker only what goes wrong is news: the daemon it belongs to tells the rest (crew.py).
        """
        self._name = name
        self._log = log
        self._manager = manager
        self._load = load
        self._started = started
        self._say_status = say_status
        self._grace = grace
        self._is_worker = is_worker
        self._asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._refused = ""
        self._config: Config | None = None
        self._changed: list[str] = []
        #  What it was built with, and settings that a reload has not put in force.
        self._begun: Config | None = None
        self._awaited: list[str] = []
        self._waiting: list[asyncio.Future[Reloaded]] = []

    async def reload(self) -> Reloaded:
        """Reload as by SIGHUP, behind what was asked for before."""
        told: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self.ask(signal.SIGHUP)
        return await told

    def ask(self, which: signal.Signals) -> None:
        """A signal came. Called on the loop."""
        self._asked.put_nowait(which)

    async def live(self, build: Callable[[Config], Daemon], config: Config) -> BaseException | None:
        """From build to stop. The answer is what kept the daemon from starting, or None when it ended in order."""
        daemon: Daemon | None = None
        self._config = self._begun = config
        try:
            daemon = build(config)
            await daemon.start()
        except (Exception, asyncio.CancelledError) as error:
            if not isinstance(error, EXPECTED):
                fault(self._log, error, f"start of {self._name}")
            if daemon is not None:
                await self._stop(daemon, grace=0.0)
            return error
        settle_down()
        self._started()
        self._manager.ready(daemon.status())
        self._say_status(daemon.status())
        self._tell(events.DAEMON_STARTED, pid=os.getpid(), status=daemon.status())
        pulse = asyncio.ensure_future(self._pulse(daemon))
        await self._serve(daemon)
        pulse.cancel()
        self._manager.stopping()
        self._tell(events.DAEMON_STOPPING, status=daemon.status())
        await self._stop(daemon, self._grace)
        self._tell(events.DAEMON_STOPPED)
        return None

    async def _serve(self, daemon: Daemon) -> None:
        """Until someone asks for the end."""
        while await self._asked.get() is signal.SIGHUP:
            await self._reload(daemon)

    async def _reload(self, daemon: Daemon) -> None:
        self._manager.reloading()
        self._refused, self._changed = "", []
        try:
            # In a thread: reading files and validating takes long enough to be felt by a session.
            config, changed, awaited = await asyncio.get_running_loop().run_in_executor(None, self._read)
            await daemon.reload(config)
            self._config, self._changed, self._awaited = config, changed, awaited
            self._tell(events.CONFIG_RELOADED, changed=_few(changed) or "nothing")
            for setting in self._awaited:
                self._tell(events.RESTART_NEEDED, setting=setting)
        except ConfigErrors as errors:
            for problem in errors.problems:
                self._log.event(events.CONFIG_REFUSED, problem=str(problem))
            self._refused = str(errors.problems[0]) if errors.problems else str(errors)
        except EXPECTED as error:
            self._log.event(events.CONFIG_REFUSED, problem=str(error))
            self._refused = str(error)
        except Exception as error:
            fault(self._log, error, f"reload of {self._name}")
            self._refused = f"fault: {error}"
        self._manager.ready(self._status(daemon))
        self._say_status(self._status(daemon))
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():
                told.set_result(Reloaded(self._refused, tuple(self._changed), tuple(self._awaited)))

    def _read(self) -> tuple[Config, list[str], list[str]]:
        """The new configuration, the names of what differs from the one in force, and what of it and of earlier
        changes waits for a restart. A worker is not asked."""
        config = self._load()
        if self._is_worker or self._config is None or self._begun is None:
            return config, [], []
        since_start = changed_keys(self._begun, config)
        return config, changed_keys(self._config, config), need_restart(self._name, since_start)

    def _tell(self, event: events.Event, **fields: object) -> None:
        if not self._is_worker:
            self._log.event(event, **fields)

    def _status(self, daemon: Daemon) -> str:
        """A refusal stays in sight until a good configuration has taken its place."""
        if self._refused:
            return f"{REFUSED}, the old one stays: {self._refused}"
        restart = f"; {WANTS_RESTART} {_few(self._awaited)}" if self._awaited else ""
        return daemon.status() + restart

    async def _pulse(self, daemon: Daemon) -> None:
        """Feed the watchdog and keep the status line fresh."""
        interval = min(self._manager.watchdog / 3, _STATUS_EVERY) if self._manager.watchdog else _STATUS_EVERY
        was_progressing = True
        while True:
            await asyncio.sleep(interval)
            try:
                progresses = not isinstance(daemon, Progressing) or daemon.is_progressing()
                if progresses:
                    self._manager.alive()
                elif was_progressing:
                    self._log.event(events.NO_PROGRESS, status=daemon.status())
                was_progressing = progresses
                self._manager.status(self._status(daemon))
                self._say_status(self._status(daemon))
            except Exception as error:
                fault(self._log, error, f"status of {self._name}")

    async def _stop(self, daemon: Daemon, grace: float) -> None:
        work = asyncio.ensure_future(daemon.stop(grace))
        done, _ = await asyncio.wait([work], timeout=grace + _AFTER_GRACE)
        if not done:
            work.cancel()
            self._log.event(events.STOP_CUT_SHORT, grace=grace)
        elif (error := work.exception()) is not None:
            fault(self._log, error, f"stop of {self._name}")


def _few(names: list[str]) -> str:
    """The first of them; a name of a setting is no secret, a value may be."""
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if (rest := len(names) - _MOST_NAMES) > 0 else "")


def settle_down() -> None:
    """The interpreter's own settings for a long life.

    What start-up has made stays for good: the collector need not look through it again and again while mail flows,
    which would cost as much as the policy of the door. What sessions make is nearly all freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)


async def cancel_leftovers() -> None:
    """Tasks that outlived the daemon: none may be torn down half way without having been told."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=1.0)


class Signals:
    """SIGTERM, SIGINT and SIGHUP for a Life. Plain handlers, as the loop's own would take the wake-up descriptor by
    which the reactor learns about child processes that ended."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, ask: Callable[[signal.Signals], None]) -> None:
        self._name = name
        self._loop = loop
        self._ask = ask
        self._is_ending = False

    def install(self) -> None:
        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(which, self._came)

    def _came(self, number: int, _frame: Any) -> None:
        which = signal.Signals(number)
        if which is not signal.SIGHUP:
            if self._is_ending:
                os.write(2, f"{self._name}: asked to stop a second time; stopping at once\n".encode())
                os._exit(EXIT_TROUBLE)
            self._is_ending = True
        self._loop.call_soon_threadsafe(self._ask, which)
