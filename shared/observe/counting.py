"""Which event counts as what: the metrics of a daemon are made from its events, so no room knows of them.

When metrics are off nobody hears the events, and they cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.observe import events, metrics
from shared.observe.log import Fields
from shared.observe.metrics import Counts

_REFUSED = {
    events.SESSION_REFUSED: "session",
    events.HELO_REFUSED: "helo",
    events.SENDER_REFUSED: "sender",
    events.RECIPIENT_REFUSED: "recipient",
    events.MESSAGE_REFUSED: "message",
    events.LOGIN_REFUSED: "login",
}
_OUTCOMES = {
    events.RECIPIENT_DELIVERED: "delivered",
    events.RECIPIENT_DEFERRED: "deferred",
    events.RECIPIENT_FAILED: "failed",
}
_REPORTS = {
    events.MESSAGE_BOUNCED: "failure",
    events.MESSAGE_DELAYED: "delay",
    events.MESSAGE_CONFIRMED: "success",
}
_LIMITS = {events.LIMIT_REACHED: "limit", events.SESSION_TIMED_OUT: "timeout"}
_VERSIONS = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"})
NONE = "none"


class Counting:
    """`hear` is a watcher of the event log (shared/observe/log.py)."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._ways: dict[str, Callable[[str, Fields], None]] = {
            events.MESSAGE_ACCEPTED: self._accepted,
            events.SESSION_OPENED: self._opened,
            events.SESSION_CLOSED: self._closed,
            events.LOGIN_ACCEPTED: self._logged_in,
            events.MESSAGE_FINISHED: self._finished,
            events.CONNECTION_OPENED: self._connected,
            events.CONNECTION_CLOSED: self._disconnected,
            events.CONNECTION_FAILED: self._unreached,
            **dict.fromkeys(_REFUSED, self._refused),
            **dict.fromkeys(_OUTCOMES, self._tried),
            **dict.fromkeys(_REPORTS, self._reported),
            **dict.fromkeys(_LIMITS, self._limited),
        }

    def hear(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.EVENTS, 1, name)
        way = self._ways.get(name)
        if way is not None:
            way(name, fields)

    def _accepted(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.MESSAGES)
        self._counts.add(metrics.RECIPIENTS, float(fields.get("recipients", 1)))
        self._counts.add(metrics.OCTETS, float(fields.get("size", 0)))
        self._counts.add(metrics.MESSAGE_TLS, 1, _version(fields))

    def _opened(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.SESSIONS)
        self._counts.add(metrics.OPEN_SESSIONS)

    def _closed(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.OPEN_SESSIONS, -1)

    def _refused(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.REFUSALS, 1, _REFUSED[events.named(name)], _status(fields))

    def _limited(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.LIMITS, 1, _LIMITS[events.named(name)])

    def _logged_in(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.LOGINS, 1, str(fields.get("mechanism", NONE)))

    def _tried(self, name: str, fields: Fields) -> None:
        lane, outcome = str(fields.get("lane", NONE)), _OUTCOMES[events.named(name)]
        self._counts.add(metrics.ATTEMPTS, 1, lane, outcome)
        if outcome == "delivered" and (delay := fields.get("delay")) is not None:
            self._counts.observe(metrics.LATENCY, float(delay), lane)

    def _finished(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.FINISHED, 1, str(fields.get("lane", NONE)))

    def _reported(self, name: str, fields: Fields) -> None:
        if fields.get("report"):
            self._counts.add(metrics.REPORTS, 1, _REPORTS[events.named(name)])

    def _connected(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.CONNECTIONS, 1, "opened")
        self._counts.add(metrics.CONNECTION_TLS, 1, _version(fields))

    def _disconnected(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.CONNECTION_MESSAGES, float(fields.get("messages", 0)))

    def _unreached(self, name: str, fields: Fields) -> None:
        self._counts.add(metrics.CONNECTIONS, 1, "failed")


def _version(fields: Fields) -> str:
    version = str(fields.get("tls") or NONE).partition(" ")[0]
    return version if version in _VERSIONS else metrics.OTHER if version != NONE else NONE


def _status(fields: Fields) -> str:
    """The enhanced status code of a reply, else its code: a handful of our own, and those of filters."""
    words = str(fields.get("reply") or "").split(" ", 2)
    if len(words) > 1 and words[1][:2] in ("2.", "4.", "5."):
        return words[1]
    return words[0] if len(words[0]) == 3 and words[0].isdigit() else NONE
