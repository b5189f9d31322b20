"""The metrics are what events say, in a form that Prometheus reads, and never more series than we can name."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.observe import events, metrics
from shared.observe.counting import Counting
from shared.observe.exposition import dump, from_json, render
from shared.observe.log import EventLog
from shared.observe.metrics import ALL, MOST_SERIES, Counts, Kind


@pytest.fixture
def counts() -> Counts:
    """A day in the life of MercuryS."""
    counts = Counts()
    log = EventLog()
    with log.watched(Counting(counts).hear):
        for _ in range(3):
            log.event(events.SESSION_OPENED, client="192.0.2.1")
        log.event(events.SESSION_CLOSED, client="192.0.2.1", reason="quit", messages=1)
        log.event(events.MESSAGE_ACCEPTED, id="7Q2M-K4ZC", recipients=2, size=4096, tls="TLSv1.3")
        log.event(events.MESSAGE_ACCEPTED, id="7Q2M-K4ZD", recipients=1, size=904)
        log.event(events.RECIPIENT_REFUSED, client="192.0.2.1", reply="550 5.1.1 No such mailbox")
        log.event(events.SESSION_REFUSED, client="192.0.2.1", reply='554 "\n\\')
        log.event(events.RECIPIENT_DELIVERED, id="7Q2M-K4ZC", lane="local", recipient="a@b", delay=0.07)
        log.event(events.RECIPIENT_DELIVERED, id="7Q2M-K4ZC", lane="local", recipient="a@b", delay=1e6)
        log.event(events.RECIPIENT_DEFERRED, id="7Q2M-K4ZD", lane="relay", recipient="a@b", delay=1)
        log.event(events.MESSAGE_BOUNCED, id="7Q2M-K4ZD", report="7Q2M-K4ZE")
        log.event(events.CONNECTION_OPENED, host="x", tls="TLSv1.2")
        log.event(events.CONNECTION_CLOSED, host="x", messages=7)
        log.event(events.CONNECTION_FAILED, host="x")
        log.event(events.LIMIT_REACHED, client="192.0.2.1")
        log.event(events.LOGIN_ACCEPTED, client="192.0.2.1", mechanism="PLAIN")
    return counts


def read(counts: Counts) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = render({"mercury-s": counts}, Counts())
    return {
        (sample.name, frozenset(sample.labels.items()) - {("daemon", "mercury-s")}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("mercury_messages_received_total", {}, 2),
        ("mercury_recipients_received_total", {}, 3),
        ("mercury_received_bytes_total", {}, 5000),
        ("mercury_messages_received_tls_total", {"version": "TLSv1.3"}, 1),
        ("mercury_messages_received_tls_total", {"version": "none"}, 1),
        ("mercury_sessions_total", {}, 3),
        ("mercury_sessions_open", {}, 2),
        ("mercury_refusals_total", {"what": "recipient", "status": "5.1.1"}, 1),
        ("mercury_refusals_total", {"what": "session", "status": "554"}, 1),
        ("mercury_attempts_total", {"lane": "local", "outcome": "delivered"}, 2),
        ("mercury_attempts_total", {"lane": "relay", "outcome": "deferred"}, 1),
        ("mercury_delivery_seconds_bucket", {"lane": "local", "le": "0.05"}, 0),
        ("mercury_delivery_seconds_bucket", {"lane": "local", "le": "0.1"}, 1),
        ("mercury_delivery_seconds_bucket", {"lane": "local", "le": "86400"}, 1),
        ("mercury_delivery_seconds_bucket", {"lane": "local", "le": "+Inf"}, 2),
        ("mercury_delivery_seconds_count", {"lane": "local"}, 2),
        ("mercury_delivery_seconds_sum", {"lane": "local"}, 1000000.07),
        ("mercury_reports_total", {"kind": "failure"}, 1),
        ("mercury_connections_total", {"result": "opened"}, 1),
        ("mercury_connections_total", {"result": "failed"}, 1),
        ("mercury_connections_tls_total", {"version": "TLSv1.2"}, 1),
        ("mercury_connection_messages_total", {}, 7),
        ("mercury_limits_total", {"what": "limit"}, 1),
        ("mercury_logins_total", {"mechanism": "PLAIN"}, 1),
        ("mercury_events_total", {"event": "message-accepted"}, 2),
    ],
)
def test_what_is_counted(counts: Counts, name: str, labels: dict[str, str], value: float) -> None:
    assert read(counts)[name, frozenset(labels.items())] == value


def test_the_sum_over_workers(counts: Counts) -> None:
    copy = from_json(json.loads(dump(counts)))
    assert read(copy) == read(counts)
    copy.merge(counts)
    assert read(copy) == {key: 2 * value for key, value in read(counts).items()}
    assert read(from_json(json.loads(dump(counts)))) == read(counts)  # what is merged is left as it was


def test_strangers_cannot_make_series() -> None:
    counts = Counts()
    counting = Counting(counts)
    for number in range(5000):
        counting.hear(events.SESSION_REFUSED, {"reply": f"550 5.7.{number} No"})
        counting.hear(events.MESSAGE_ACCEPTED, {"tls": f"version {number}"})
    assert len(counts.numbers[metrics.REFUSALS]) == MOST_SERIES + 1
    assert sum(counts.numbers[metrics.REFUSALS].values()) == 5000
    assert set(counts.numbers[metrics.MESSAGE_TLS]) == {("other",)}


def test_a_label_is_escaped() -> None:
    spool = Counts()
    spool.put(metrics.QUEUE, 1, "relay", 'a"b\\c\nd', "waiting")
    [family] = text_string_to_metric_families(render({}, spool))
    assert family.samples[0].labels["site"] == 'a"b\\c\nd'


def test_names_follow_the_rules_of_prometheus() -> None:
    assert len({metric.name for metric in ALL}) == len(ALL)
    for metric in ALL:
        assert metric.name.startswith("mercury_") and metric.meaning.endswith((".", "(Unix time)."))
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(metric.buckets)
