"""Running a daemon: `mercury-s --config FILE` in the foreground, under systemd or in a terminal.

A broken configuration ends with every error on stderr and exit 2; what keeps a daemon from starting is one line that
says what to do, exit 1. Its life on the reactor is in life.py. A worker (`--worker NUMBER`, crew.py) is the same
program with neither argument, lock nor service manager of its own: all it needs it gets by its seat (seat.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import shared
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.faults import hook_loop, hook_process
from shared.observe.journal import JournalStream
from shared.observe.log import log
from shared.observe.sinks import RecordFile, TextStream
from shared.service.controlled import Controlled
from shared.service.life import EXIT_DONE, EXIT_TROUBLE, Daemon, Life, Signals, cancel_leftovers
from shared.service.listen import InheritedSockets
from shared.service.lock import InstanceLock, lock_path
from shared.service.notify import ServiceManager
from shared.service.observed import Observed
from shared.service.seat import Seat
from shared.service.status_file import StatusFile
from shared.service.trouble import EXPECTED, StartTrouble, line_of, user_name
from shared.spool.sharing import umask_for

__all__ = ["Daemon", "StartTrouble", "inherited_sockets", "run_daemon", "run_worker"]

DEFAULT_CONFIG = "/etc/mercury/mercury.yaml"
EXIT_CONFIG = 2
#  The interpreter joins its threads at the end; one that is stuck on a dead disk must not keep us from ending.
_END_SECONDS = 3.0

_inherited = InheritedSockets([])


def inherited_sockets() -> InheritedSockets:
    """What the service manager opened for this process; for listening_sockets()."""
    return _inherited


def run_daemon(
    name: str, build: Callable[[Config], Daemon], argv: Sequence[str] | None = None, *, is_onlooker: bool = False
) -> NoReturn:
    """The whole of a daemon's main(). `build` is called once, with the reactor installed and the loop running.

    An onlooker writes nothing into the spool: its lock lies in the run folder, it keeps neither history nor numbers,
    and it cannot be asked to act.
    """
    global _inherited
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload asked for too early must not end us
    path = _parse_arguments(name, argv)
    config = _load_or_exit(name, path)
    os.umask(umask_for(config.spool))
    _raise_descriptor_limit()
    manager = ServiceManager.from_environment(os.environ, os.getpid())
    lock = InstanceLock(lock_path(config.run if is_onlooker else config.spool, name), name)
    try:
        _inherited = InheritedSockets.from_environment(os.environ, os.getpid())
        lock.take()
        text = _open_log(name, config)
    except EXPECTED as trouble:
        _complain(line_of(name, trouble))
        sys.exit(EXIT_TROUBLE)
    text.hold()
    status = StatusFile(config.run, name, lambda error: log.event(events.STATUS_UNWRITTEN, reason=str(error)))
    life = Life(name, log, manager, lambda: load(path), started=text.release, say_status=status.write)

    def begin(config: Config) -> Daemon:
        daemon = build(config)
        if is_onlooker:
            return Controlled(name, daemon, daemon, config, life.reload, acts=False)
        return Controlled(name, daemon, Observed(name, daemon, config), config, life.reload)

    end = _run(name, life, begin, config)
    status.remove()
    if end is not None:
        log.event(events.DAEMON_START_FAILED, reason=str(end))
        text.release(is_wanted=not isinstance(end, EXPECTED))
    log.close()
    lock.release()
    if end is not None:
        _complain(line_of(name, end))
    _end(EXIT_DONE if end is None else _exit_of(end))


def _exit_of(end: BaseException) -> int:
    return EXIT_CONFIG if isinstance(end, StartTrouble) and end.by_configuration else EXIT_TROUBLE


def run_worker(name: str, number: int, build: Callable[[Config, Seat], Daemon]) -> NoReturn:
    """The whole of a worker's main()."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seat = Seat.take(number, os.environ)
    config = seat.orders.config
    os.umask(umask_for(config.spool))
    _raise_descriptor_limit()
    try:
        text = _open_log(name, config)
    except EXPECTED as trouble:
        seat.upward.trouble(str(trouble))
        sys.exit(EXIT_TROUBLE)
    life = Life(name, log, seat.upward, lambda: seat.orders.config, is_worker=True)

    def begin(config: Config) -> Daemon:
        loop = asyncio.get_running_loop()
        seat.attend(loop, lambda: life.ask(signal.SIGHUP), lambda: life.ask(signal.SIGTERM))
        daemon = build(config, seat)
        return Controlled(f"{name}.{number}", daemon, Observed(name, daemon, config, number), config)

    end = _run(name, life, begin, config)
    if end is not None:
        seat.upward.trouble(str(end))
        text.flush()
    log.close()
    _end(EXIT_DONE if end is None else EXIT_TROUBLE)


def _parse_arguments(name: str, argv: Sequence[str] | None) -> Path:
    given = sys.argv[1:] if argv is None else argv
    if len(given) == 2 and given[0] == "--config" and not given[1].startswith("-"):
        return Path(given[1])  # as the units start us, without a parser that stays in memory
    import argparse

    parser = argparse.ArgumentParser(prog=name, description="One of the daemons of the Mercury mail suite.")
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get("MERCURY_CONFIG") or DEFAULT_CONFIG,
        help="the configuration (default: $MERCURY_CONFIG, else %(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {shared.__version__}")
    return Path(parser.parse_args(given).config)


def _load_or_exit(name: str, path: Path) -> Config:
    try:
        return load(path)
    except ConfigErrors as errors:
        for problem in errors.problems:
            _complain(str(problem))
    except OSError as error:
        reason = error.strerror or str(error)
        _complain(
            printable(f"{name}: cannot read the configuration {path}: {reason}; name another with --config FILE")
        )
    sys.exit(EXIT_CONFIG)


def _raise_descriptor_limit() -> None:
    """Every session and every delivery is a descriptor; the soft limit is for programs that use select()."""
    # A sandbox may forbid the call; it has then set the limit itself.
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _open_log(name: str, config: Config) -> TextStream | JournalStream:
    folder = config.state / "events"
    try:
        records = RecordFile(folder / f"{name}.jsonl")
    except OSError as error:
        raise StartTrouble(
            f"write events in {folder}: {error.strerror}",
            f"create it and give it to user {user_name()}, or set `state` in the configuration",
        ) from error
    text = JournalStream.for_this_process(name) or TextStream.for_stderr()
    log.open(name, text, records)
    hook_process(log)
    return text


def _run(name: str, life: Life, build: Callable[[Config], Daemon], config: Config) -> BaseException | None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    reactor = _install_reactor(loop)
    hook_loop(log, loop)
    signals = Signals(name, loop, life.ask)
    ended: list[BaseException | None] = []

    async def live() -> None:
        try:
            ended.append(await life.live(build, config))
            await cancel_leftovers()
        finally:
            reactor.stop()

    def begin() -> None:
        signals.install()  # after the reactor, which sets its own when it starts
        tasks.append(asyncio.ensure_future(live()))

    tasks: list[asyncio.Task[None]] = []
    signals.install()
    reactor.callWhenRunning(begin)
    reactor.run()
    return ended[0] if ended else StartTrouble("go on: the reactor stopped by itself", "see the event log")


def _install_reactor(loop: asyncio.AbstractEventLoop) -> Any:
    if "twisted.internet.reactor" in sys.modules:
        raise RuntimeError("a reactor was installed before run_daemon; some module imports it at its top")
    from shared.service.reactor import install

    return install(loop)


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(code: int) -> NoReturn:
    if threading.active_count() > 1:
        bound = threading.Timer(_END_SECONDS, os._exit, (code,))
        bound.daemon = True
        bound.start()
    sys.exit(code)
