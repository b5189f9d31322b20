"""What is written about settings, events, metrics and replies is what the code says; the dashboard asks for what there is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.observe import events
from shared.observe.events import Event
from shared.observe.metrics import ALL, Kind

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = ("shared", "mercury_s", "mercury_c", "mercury_e")


def test_the_pages_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs/reference.py"), "--check"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Every word of the code but the list of events."""
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    return {
        word
        for path in files
        if path != ROOT / "shared/observe/events.py"
        for word in re.findall(r"\w+", path.read_text())
    }


@pytest.mark.parametrize("name", sorted(name for name, value in vars(events).items() if type(value) is Event))
def test_an_event_is_said_somewhere(name: str, words: set[str]) -> None:
    #  Rooms below the list write the name itself (`entry_set_aside`).
    assert {name, str(getattr(events, name)).replace("-", "_")} & words, f"nobody says {name}"


def test_what_is_said_is_one_of_them() -> None:
    """A name that is written as text, where the list is not at hand, is one of the list's."""
    known = {str(value) for value in vars(events).values() if type(value) is Event}
    said = [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0].value)
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in ("report", "event", "_report", "say_event")
    ]
    assert said, "they are not found"
    strange = [(place, name) for place, name in said if str(name).replace("_", "-") not in known]
    assert not strange, strange


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((ROOT / "etc/grafana.json").read_text())
    known = {metric.name for metric in ALL} | {
        f"{metric.name}_{end}"
        for metric in ALL
        if metric.kind is Kind.HISTOGRAM
        for end in ("bucket", "sum", "count")
    }
    labels = {label for metric in ALL for label in (*metric.labels, "daemon", "le")}
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for text in expressions for name in re.findall(r"mercury_\w+", text)}
    assert used <= known
    for text in expressions:
        for names in re.findall(r"by \(([^)]*)\)", text):
            assert set(names.split(", ")) <= labels
    shown = {re.sub(r"_bucket$", "", name) for name in used}
    assert {metric.name for metric in ALL} == shown, "a metric that the dashboard does not show"
