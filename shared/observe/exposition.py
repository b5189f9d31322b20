"""Counts as text: the Prometheus exposition format 0.0.4, and JSON from process to process. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.observe import metrics
from shared.observe.metrics import Counts, Distribution, Kind, Labels, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BY_NAME = {metric.name: metric for metric in metrics.ALL}


def render(daemons: Mapping[str, Counts], spool: Counts) -> str:
    """`daemons` by name; `spool` has the metrics that belong to none."""
    lines: list[str] = []
    for metric in metrics.ALL:
        samples: list[str] = []
        if metric.is_of_spool:
            samples += _samples(metric, spool, ())
        else:
            for daemon, counts in daemons.items():
                samples += _samples(metric, counts, (("daemon", daemon),))
        if samples:
            lines += [
                f"# HELP {metric.name} {_help(metric.meaning)}",
                f"# TYPE {metric.name} {metric.kind}",
                *samples,
            ]
    return "\n".join(lines) + "\n"


def _samples(metric: Metric, counts: Counts, common: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    if metric.kind is Kind.HISTOGRAM:
        for labels, distribution in sorted(counts.distributions.get(metric, {}).items()):
            lines += _histogram(metric, (*common, *zip(metric.labels, labels, strict=True)), distribution)
        return lines
    for labels, value in sorted(counts.numbers.get(metric, {}).items()):
        lines.append(_sample(metric.name, (*common, *zip(metric.labels, labels, strict=True)), value))
    return lines


def _histogram(metric: Metric, labels: tuple[tuple[str, str], ...], distribution: Distribution) -> list[str]:
    lines, below = [], 0
    bounds = [*map(_number, metric.buckets), "+Inf"]
    for bound, count in zip(bounds, distribution.counts, strict=True):
        below += count
        lines.append(_sample(f"{metric.name}_bucket", (*labels, ("le", bound)), below))
    lines.append(_sample(f"{metric.name}_sum", labels, distribution.total))
    lines.append(_sample(f"{metric.name}_count", labels, below))
    return lines


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def to_json(counts: Counts) -> dict[str, Any]:
    return {
        "numbers": {metric.name: list(series.items()) for metric, series in counts.numbers.items()},
        "distributions": {
            metric.name: [(labels, found.counts, found.total) for labels, found in series.items()]
            for metric, series in counts.distributions.items()
        },
    }


def from_json(said: Mapping[str, Any]) -> Counts:
    """Raises ValueError, KeyError, TypeError, AttributeError when it is not what `to_json` made of these metrics."""
    counts = Counts()
    for name, series in said["numbers"].items():
        counts.numbers[_BY_NAME[name]] = {_labels(labels): float(value) for labels, value in series}
    for name, spread in said["distributions"].items():
        counts.distributions[_BY_NAME[name]] = {
            _labels(labels): Distribution([int(count) for count in found], float(total))
            for labels, found, total in spread
        }
    return counts


def _labels(labels: Iterable[object]) -> Labels:
    return tuple(str(label) for label in labels)


def dump(counts: Counts, **about: object) -> str:
    return json.dumps(about | to_json(counts))
