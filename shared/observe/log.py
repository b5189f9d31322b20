"""The event log: what happens is said once, as an event with fields, and goes to every sink.

`log` is the log of this process. Until a daemon opens it, it swallows what it is told, so that any room can be used
and tested without one. Sinks are in sinks.py, names in events.py, the wording in wording.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shared.observe import events, wording
from shared.observe.events import Event
from shared.observe.journal import JournalStream
from shared.observe.sinks import RecordFile, Sink, TextStream

Fields = dict[str, str | int | float | bool]


class EventLog:
    """`event()` may be called from any thread, never raises, takes a few microseconds and waits for no disk."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._daemon = ""
        self._text: TextStream | None = None
        self._journal: JournalStream | None = None
        self._records: RecordFile | None = None
        self._watchers: tuple[Callable[[str, Fields], None], ...] = ()
        self._is_silent = True

    def open(
        self, daemon: str, text: TextStream | JournalStream | None = None, records: RecordFile | None = None
    ) -> None:
        """From now on events go to these sinks; `daemon` is named in each record."""
        self._daemon, self._records = daemon, records
        self._text = text if isinstance(text, TextStream) else None
        self._journal = text if isinstance(text, JournalStream) else None
        self._is_silent = not (text or records or self._watchers)

    def event(self, name: str, /, **fields: Any) -> None:
        """Something happened. A field that is None is left out; a Secret, or a field named like one, is masked."""
        if self._is_silent:
            return
        event = name if isinstance(name, Event) else events.named(name)
        try:
            self._say(event, fields)
        except Exception as error:  # a __str__ that raises must not break the work that was to be logged
            self._say(events.EVENT_UNSPEAKABLE, {"name": event, "reason": type(error).__name__})

    def _say(self, name: Event, fields: Mapping[str, Any]) -> None:
        at = self._clock()
        cleaned, words, members = wording.worded(fields)
        if self._text is not None:
            self._text.write(name + words, at, name.priority)
        if self._journal is not None:
            self._journal.write(name, cleaned)
        if self._records is not None:
            self._records.write(wording.render_json(at, self._daemon, name, members))
        for watcher in self._watchers:
            watcher(name, cleaned)

    @contextmanager
    def watched(self, watcher: Callable[[str, Fields], None]) -> Iterator[None]:
        """Within, `watcher(name, fields)` hears every event: for metrics, live views and tests."""
        self._watchers = (*self._watchers, watcher)
        self._is_silent = False
        try:
            yield
        finally:
            self._watchers = tuple(other for other in self._watchers if other is not watcher)
            self._is_silent = not (self._sinks() or self._watchers)

    def flush(self) -> None:
        """Everything said so far is with the operating system when this returns."""
        for sink in self._sinks():
            sink.flush()

    def close(self) -> None:
        """Flush, and swallow what comes later."""
        sinks = self._sinks()
        self._text = self._journal = self._records = None
        self._is_silent = not self._watchers
        for sink in sinks:
            sink.close()

    def _sinks(self) -> list[Sink]:
        return [sink for sink in (self._text, self._journal, self._records) if sink is not None]


log = EventLog()
