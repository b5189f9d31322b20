"""The table of the proof: results of tests become results of rows, shown while it runs and written down at the end.

A row passes when each of its tests has passed; one that did not run says why. A row is never judged by the tests that did.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from proof.rows import ROWS, Row

PASS, FAIL, NOT_RUN = "pass", "FAIL", "not run"
NEVER_RAN = "the time was over, or it was interrupted"


@dataclass
class Result:
    """Of one test. `counts` are what it told, `why` the reason when it was skipped, or the first line of its failure."""

    node: str
    outcome: str = "passed"
    why: str = ""
    seconds: float = 0.0
    counts: dict[str, object] = field(default_factory=dict)


class Table:
    """`expected` are the tests that pytest has found."""

    def __init__(self, expected: list[str], rows: tuple[Row, ...] = ROWS) -> None:
        self.began = time.monotonic()
        self.results = {node: Result(node, "missing", NEVER_RAN) for node in expected}
        self._rows = rows

    def of(self, row: Row) -> list[Result]:
        return [result for node, result in self.results.items() if row.has(node)]

    def rows_of(self, node: str) -> str:
        return " ".join(row.id for row in self._rows if row.has(node))

    def verdict(self, row: Row) -> tuple[str, str]:
        """pass, FAIL or not run; and why."""
        results = self.of(row)
        for result in results:
            if result.outcome == "failed":
                return FAIL, f"{result.node.rpartition('::')[2]}: {result.why}"
        if row.missing or not results:
            return NOT_RUN, row.missing or "none of its tests was found"
        for result in results:
            if result.outcome != "passed":
                return NOT_RUN, result.why
        return PASS, ""

    def lines(self) -> list[dict[str, object]]:
        """The table as values."""
        table = []
        for row in self._rows:
            results = self.of(row)
            verdict, why = self.verdict(row)
            counts = {name: value for result in results for name, value in result.counts.items()}
            ran = sum(result.outcome in ("passed", "failed") for result in results)
            table.append(
                {
                    "id": row.id, "what": row.what, "tests": ran, "counts": counts, "mark": row.mark,
                    "result": verdict, "why": why, "seconds": round(sum(result.seconds for result in results), 1),
                }
            )  # fmt: skip
        return table

    def write(self, folder: Path) -> None:
        """proof.json and proof.md."""
        folder.mkdir(parents=True, exist_ok=True)
        took = round(time.monotonic() - self.began)
        document = {"seconds": took, "rows": self.lines()}
        (folder / "proof.json").write_text(json.dumps(document, indent=1) + "\n")
        head = "| | what was done | counts | pass mark | result | seconds |\n|---|---|---|---|---|---|\n"
        body = "".join(
            f"| {line['id']} | {line['what']} | {counts_in_words(line)} | {line['mark']} | {result_in_words(line)} | "
            f"{line['seconds']} |\n"
            for line in self.lines()
        )
        (folder / "proof.md").write_text(f"# The proof, {took} seconds\n\n{head}{body}")

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{'':5} {'result':8} {'seconds':>8}  what was done: counts [pass mark]"]
        for line in self.lines():
            why = f"\n{'':25}{line['why']}" if line["why"] else ""
            lines.append(
                f"{line['id']:5} {line['result']:8} {line['seconds']:8.1f}  {line['what']}:\n"
                f"{'':25}{counts_in_words(line)} [{line['mark']}]{why}"
            )
        return "\n".join(lines)


def counts_in_words(line: dict[str, object]) -> str:
    counts = line["counts"]
    assert isinstance(counts, dict)
    words = [f"{line['tests']} tests", *(f"{name.replace('_', ' ')} {value}" for name, value in counts.items())]
    return ", ".join(words)


def result_in_words(line: dict[str, object]) -> str:
    why = str(line["why"]).replace("|", "/")
    return f"{line['result']}: {why}" if why else str(line["result"])
