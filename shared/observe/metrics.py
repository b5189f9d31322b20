"""The metrics: each is named once, here, with what it means; and the counts of one process.

A name never changes its meaning. Every label has few values, whatever strangers do: lanes, sites, our own words, TLS
versions, and status codes, of which there are 200 at most for each metric. What is counted by which event is
counting.py, what stands in the queue is looked at by shared/service/queue_gauges.py.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

#  More label values than this for one metric are counted together as `other`.
MOST_SERIES = 200
OTHER = "other"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """`labels` without `daemon`, which everything has but what is about the spool. `buckets`: their upper bounds."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    is_of_spool: bool = False


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"mercury_{name}_total", Kind.COUNTER, meaning, labels)


def _of_spool(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"mercury_{name}", Kind.GAUGE, meaning, labels, is_of_spool=True)


_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0, 86400.0)
_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

EVENTS = _counter("events", "Events by name; docs/events.md says what each means.", "event")
MESSAGES = _counter("messages_received", "Messages that were answered with 250, or handed in on this host.")
RECIPIENTS = _counter("recipients_received", "Recipients of these messages.")
OCTETS = _counter("received_bytes", "Octets of these messages.")
SESSIONS = _counter("sessions", "Clients that were let in.")
OPEN_SESSIONS = Metric("mercury_sessions_open", Kind.GAUGE, "Clients that are here now.")
MESSAGE_TLS = _counter(
    "messages_received_tls", "Messages received by SMTP, by TLS version; none for those in clear.", "version"
)
REFUSALS = _counter(
    "refusals",
    "What was turned away: session, helo, sender, recipient, message, login, by status code.",
    "what",
    "status",
)
LIMITS = _counter("limits", "Sessions that met a limit or were silent for too long.", "what")
LOGINS = _counter("logins", "Logins that were right.", "mechanism")
ATTEMPTS = _counter("attempts", "Attempts at a recipient: delivered, deferred, failed.", "lane", "outcome")
FINISHED = _counter("messages_finished", "Messages that have left a lane for good.", "lane")
REPORTS = _counter("reports", "Reports to senders: failure, delay, success.", "kind")
LATENCY = Metric(
    "mercury_delivery_seconds",
    Kind.HISTOGRAM,
    "From the 250 until the next hop has taken a recipient.",
    ("lane",),
    _SECONDS,
)
CONNECTIONS = _counter("connections", "Connections to next hops: opened, failed.", "result")
CONNECTION_MESSAGES = _counter(
    "connection_messages", "Messages over connections that have ended; divided by those opened it is their reuse."
)
CONNECTION_TLS = _counter(
    "connections_tls", "Connections opened, by TLS version; none for those in clear.", "version"
)
LAG = Metric(
    "mercury_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How late the loop came to a timer, looked at twice a second.",
    (),
    _LAGS,
)
CPU = Metric("mercury_process_cpu_seconds_total", Kind.COUNTER, "Time of the processor, of all threads and workers.")
MEMORY = Metric("mercury_process_memory_bytes", Kind.GAUGE, "Resident memory, of all workers together.")
STARTED = Metric("mercury_process_start_time_seconds", Kind.GAUGE, "When the daemon was started (Unix time).")

QUEUE = _of_spool(
    "queue_messages",
    "Entries of a lane: waiting (not tried yet), deferred, active, held, trash; sites of large lanes are estimates.",
    "lane",
    "site",
    "state",
)
QUEUE_OCTETS = _of_spool("queue_bytes", "Octets of the files of a lane.", "lane")
QUEUE_OLDEST = _of_spool("queue_oldest_seconds", "Age of the oldest entry of a lane; 0 when it is empty.", "lane")
FREE = _of_spool("spool_free_bytes", "Room that is left on the disk of the spool.")
UP = _of_spool("up", "Whether the daemon runs on this host and says its numbers.", "daemon")

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if type(value) is Metric)

Labels = tuple[str, ...]


@dataclass(slots=True)
class Distribution:
    """`counts` has one more than there are buckets: what is above the last."""

    counts: list[int]
    total: float = 0.0


class Counts:
    """The numbers of one process. Not safe between threads but for what one dict operation is."""

    def __init__(self) -> None:
        self.numbers: dict[Metric, dict[Labels, float]] = {}
        self.distributions: dict[Metric, dict[Labels, Distribution]] = {}

    def add(self, metric: Metric, amount: float = 1, *labels: str) -> None:
        series = self.numbers.get(metric)
        if series is None:
            series = self.numbers[metric] = {}
        if labels not in series and len(series) >= MOST_SERIES:
            labels = (*labels[:-1], OTHER) if len(labels) == 1 else (OTHER,) * len(labels)
        series[labels] = series.get(labels, 0) + amount

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        self.numbers.setdefault(metric, {})[labels] = value

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        series = self.distributions.setdefault(metric, {})
        found = series.get(labels)
        if found is None:
            found = series[labels] = Distribution([0] * (len(metric.buckets) + 1))
        found.counts[bisect_left(metric.buckets, value)] += 1
        found.total += value

    def merge(self, other: Counts) -> None:
        """The numbers of another process of the same daemon; what is shown is their sum."""
        for metric, series in other.numbers.items():
            for labels, value in series.items():
                self.add(metric, value, *labels)
        for metric, spread in other.distributions.items():
            mine = self.distributions.setdefault(metric, {})
            for labels, distribution in spread.items():
                if labels in mine:
                    mine[labels].counts = [
                        a + b for a, b in zip(mine[labels].counts, distribution.counts, strict=True)
                    ]
                    mine[labels].total += distribution.total
                else:
                    mine[labels] = Distribution(list(distribution.counts), distribution.total)
