"""A real Prometheus scrapes what we show, finds nothing wrong with it, and answers the questions of the dashboard."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import send
from deadline import eventually
from mailsite import ROOT, Site
from peers import FarEnd
from process import Process, free_port

from shared.observe.metrics import ALL, Kind

PROGRAMS = ROOT / ".peers/prometheus/usr/bin"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "etc/grafana.json").read_text())
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not (PROGRAMS / "prometheus").exists(), reason="tests/peers.sh prometheus could not have it"),
]


class Prometheus:
    def __init__(self, root: Path, target: str) -> None:
        self.port = free_port("127.0.0.1")
        (root / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: mercury, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        command = [
            str(PROGRAMS / "prometheus"), f"--config.file={root}/prometheus.yml",
            f"--storage.tsdb.path={root}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}",
        ]  # fmt: skip
        self.process = Process("prometheus", command, root / "prometheus.log")

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=20):
                return True
        except OSError:
            return False

    def ask(self, question: str) -> list[dict[str, Any]]:
        """The series of an answer. Raises HTTPError for what is no question."""
        query = urllib.parse.urlencode({"query": question})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=20) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        found: list[dict[str, Any]] = said["data"]["result"]
        return found


@pytest.fixture
def page(site: Site, far_end: FarEnd) -> str:
    """Where the numbers of a site are, through which mail has gone."""
    site.relay_to(far_end.hop)
    site.config["metrics"] = {"listen": f"127.0.0.1:{free_port('127.0.0.1')}"}
    site.write_config()
    site.start("sce")
    for _ in range(3):
        send(site.port, "bert@hq.example", ["joe@branch.example", "anna@hq.example"], b"Subject: x\r\n\r\nHello\r\n")
    eventually(lambda: far_end.count() == 3, what="the mail")
    return str(site.config["metrics"]["listen"])


@pytest.fixture
def prometheus(page: str, tmp_path: Path) -> Iterator[Prometheus]:
    (tmp_path / "prometheus").mkdir()
    server = Prometheus(tmp_path / "prometheus", page)
    server.process.start(server.is_ready)
    try:
        yield server
    finally:
        server.process.kill()


def test_promtool_finds_nothing_wrong(page: str) -> None:
    with urllib.request.urlopen(f"http://{page}/metrics", timeout=20) as answer:
        text = answer.read()
    done = subprocess.run(
        [str(PROGRAMS / "promtool"), "check", "metrics"], input=text, capture_output=True, timeout=30
    )
    assert done.returncode == 0 and not done.stdout, (done.stdout + done.stderr).decode()


def test_the_dashboard_is_answered(prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.ask('up{job="mercury"} == 1'), 30, "a scrape")
    eventually(lambda: prometheus.ask("sum(rate(mercury_messages_received_total[1m])) >= 0"), 30, "two scrapes")
    known = {name for metric in ALL for name in names_of(metric)}
    scraped = {series["metric"]["__name__"] for series in prometheus.ask('{job="mercury"}')}
    assert {name for name in scraped if name.startswith("mercury_")} <= known
    questions = [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m"))
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]
    silent = {question for _, question in questions if not prometheus.ask(question)}
    assert len(silent) < len(questions) / 2
    for title, question in questions:
        #  Of what has not happened here there are no numbers: nobody logs in, nothing comes back.
        if set(re.findall(r"mercury_\w+", question)) <= scraped and "{" not in question:
            assert question not in silent, f"{title}: nothing is shown, though there are numbers: {question}"


def names_of(metric: Any) -> list[str]:
    if metric.kind is Kind.HISTOGRAM:
        return [f"{metric.name}_{end}" for end in ("bucket", "sum", "count")]
    return [metric.name]
