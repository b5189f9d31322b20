"""The proof as a plugin of pytest: one line for each test that takes its time or fails, none begun when the time is over, the table last."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from proof.rows import ROWS
from proof.table import FAIL, PASS, Table


class Proof:
    """`ends` is when no further test is begun, by time.monotonic; `say` shows a line whatever pytest captures."""

    def __init__(self, ends: float, artefacts: Path, rows: tuple[Any, ...] = ROWS) -> None:
        self.table = Table([], rows)
        self.is_interrupted = False
        self._ends = ends
        self._artefacts = artefacts
        self._rows = rows
        self._out = os.fdopen(os.dup(1), "w", buffering=1)

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.table.began), 60)
        print(f"{minutes:02}:{seconds:02}  {text}", file=self._out, flush=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def place(item: pytest.Item) -> int:
            return next((number for number, row in enumerate(self._rows) if row.has(item.nodeid)), len(self._rows))

        items.sort(key=place)
        self.table = Table([item.nodeid for item in items], self._rows)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if time.monotonic() > self._ends:
            pytest.skip("the time of the proof was over")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if "/proof/" in nodeid:
            self.say(f"{self.table.rows_of(nodeid):12} ...      {nodeid.rpartition('/')[2]}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        result = self.table.results[report.nodeid]
        result.seconds += report.duration
        result.counts.update({str(name): value for name, value in report.user_properties})
        if report.failed:
            result.outcome = "failed"
            result.why = _first_line(report)
        elif report.skipped:
            result.outcome = "skipped"
            result.why = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        elif report.when == "call" and result.outcome == "missing":
            result.outcome, result.why = "passed", ""
        if report.when == "teardown" and (result.seconds > 0.5 or result.outcome != "passed"):
            told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result.counts.items())
            name = report.nodeid.rpartition("/")[2]
            told = f"  ({told})" if told else ""
            why = f"  {result.why}" if result.why else ""
            self.say(
                f"{self.table.rows_of(report.nodeid):12} {result.outcome:8} {name}  {result.seconds:.1f} s{told}{why}"
            )

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots between our lines."""
        if report.when == "call" and report.passed:
            return "passed", "", ""
        if report.failed:
            return ("failed" if report.when == "call" else "error"), "", ""
        return ("skipped", "", "") if report.skipped else ("", "", "")

    def pytest_keyboard_interrupt(self) -> None:
        self.is_interrupted = True

    def pytest_unconfigure(self) -> None:
        if not self.table.results:
            return
        self.table.write(self._artefacts)
        verdicts = [self.table.verdict(row)[0] for row in self._rows]
        print(f"\n{self.table.text()}\n", file=self._out)
        print(
            f"{verdicts.count(PASS)} pass, {verdicts.count(FAIL)} fail, "
            f"{len(verdicts) - verdicts.count(PASS) - verdicts.count(FAIL)} not run; "
            f"{time.monotonic() - self.table.began:.0f} seconds; written to {self._artefacts}/proof.json and proof.md",
            file=self._out,
            flush=True,
        )


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr or "failed")
    return text.strip().splitlines()[0][:160]
