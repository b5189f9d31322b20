"""Faults: exceptions that nobody expected, wherever they surface, become events; none is lost and none is many lines.

They surface in Twisted (a Deferred nobody looked at, a protocol that raised), in asyncio (a task nobody awaited), in
a thread, in a destructor, and in libraries that use `logging` or `warnings`. What is expected to happen is an event
of its own, not a fault.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from shared.observe import events
from shared.observe.log import EventLog


def hook_process(log: EventLog) -> None:
    """Excepthooks, `logging`, `warnings` and Twisted's log; once, before the reactor runs."""
    faults = _Faults(log)
    sys.excepthook = faults.from_main
    threading.excepthook = faults.from_thread
    sys.unraisablehook = faults.from_destructor
    root = logging.getLogger()
    root.handlers[:] = [_LoggingHandler(log)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    _hook_twisted(log)


def hook_loop(log: EventLog, loop: asyncio.AbstractEventLoop) -> None:
    """Exceptions of asyncio's callbacks and of tasks that nobody awaited."""
    loop.set_exception_handler(lambda _loop, context: asyncio_fault(log, context))


def fault(log: EventLog, error: BaseException, where: str) -> None:
    """An exception that was caught at the edge of a piece of work, which ended with it."""
    log.event(events.FAULT, where=where, error=type(error).__name__, text=_text_of(error), traceback=_trace(error))


def asyncio_fault(log: EventLog, context: dict[str, Any]) -> None:
    error = context.get("exception")
    where = context.get("message") or "asyncio"
    if isinstance(error, BaseException):
        fault(log, error, where)
    else:
        log.event(events.FAULT, where=where, text=str({key: context[key] for key in context if key != "message"}))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be shown)"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip("\n")


class _Faults:
    def __init__(self, log: EventLog) -> None:
        self._log = log

    def from_main(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        fault(self._log, error.with_traceback(trace), "main thread")

    def from_thread(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            name = arguments.thread.name if arguments.thread else "unknown"
            fault(self._log, arguments.exc_value, f"thread {name}")

    def from_destructor(self, arguments: sys.UnraisableHookArgs) -> None:
        if arguments.exc_value is not None:
            fault(
                self._log,
                arguments.exc_value,
                arguments.err_msg or f"destructor of {type(arguments.object).__name__}",
            )


class _LoggingHandler(logging.Handler):
    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            fault(self._log, record.exc_info[1], f"{record.name}: {record.getMessage()}")
        else:
            self._log.event(events.LIBRARY_SAID, library=record.name, text=record.getMessage())


def _hook_twisted(log: EventLog) -> None:
    # Imported here: the `mercury` command uses this room too and has no use for Twisted's start-up time.
    from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
    from zope.interface import implementer

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        #  `failure` is where Twisted's older half puts it; it calls its namespace log_legacy.
        failure = event.get("log_failure") or event.get("failure")
        where = str(event.get("log_namespace", "twisted"))
        text = formatEvent(event).strip()
        if failure is not None:
            log.event(
                events.FAULT,
                where=f"{where}: {text}" if text and "\n" not in text else where,
                error=failure.type.__name__,
                text=_text_of(failure.value),
                traceback=failure.getTraceback().rstrip("\n"),
            )
        elif text == "Unhandled error in Deferred:":
            return  #  A headline: the failure itself is the next event.
        elif event.get("log_level", LogLevel.info) >= LogLevel.warn or event.get("isError"):
            log.event(events.LIBRARY_SAID, library=where, text=text)

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
