"""etc/grafana.json is a dashboard to Grafana's own types, and its questions are PromQL to a parser of others. A real
Prometheus is asked them in tests/endtoend/test_prometheus.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from shared.observe.metrics import ALL, Kind

FILE = Path(__file__).resolve().parents[2] / "etc/grafana.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_nothing_of_it_is_strange_to_grafana() -> None:
    """Grafana drops what it does not know: what comes back must be all of it."""
    plugins.register_default_plugins()
    back = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
    lost = list(missing(DASHBOARD, back, ""))
    assert not lost, lost


def missing(written: Any, known: Any, place: str) -> list[str]:
    if isinstance(written, dict):
        return [
            one
            for key, value in written.items()
            for one in (missing(value, known[key], f"{place}.{key}") if key in known else [f"{place}.{key}"])
        ]
    if isinstance(written, list):
        pairs = enumerate(zip(written, known, strict=True))
        return [one for number, (a, b) in pairs for one in missing(a, b, f"{place}[{number}]")]
    return [] if written == known else [place]


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        assert max(x for x, _ in cells) < 24, f"{panel['title']} goes beyond the edge"
        taken |= cells


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_question_is_promql(text: str) -> None:
    promql_parser.parse(text.replace("$__rate_interval", "5m"))
    assert "$" not in text.replace("$__rate_interval", ""), "a variable that the dashboard does not have"
    rising = {metric.name for metric in ALL if metric.kind is Kind.COUNTER}
    rising |= {f"{m.name}_{end}" for m in ALL if m.kind is Kind.HISTOGRAM for end in ("bucket", "sum", "count")}
    for name in re.findall(r"(?:rate|increase)\((mercury_\w+)", text):
        assert name in rising, f"{name} may fall, so it has no rate"
