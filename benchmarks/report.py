"""What a run of the bench says: lines while it goes on, a table and a picture at its end."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cases import Case, Result
from measure import spread
from picture import Bar, bars

OURS, THEIRS = "mercury", "postfix"
#  CPU a message means nothing there.
WITHOUT_MESSAGES = ("start", "queue")


@dataclass(frozen=True)
class Row:
    """All rounds of one case, by server."""

    case: Case
    results: Mapping[str, Sequence[Result]]

    @property
    def is_whole(self) -> bool:
        return all(self.results.values())

    def median(self, name: str, field: str) -> float:
        return statistics.median(getattr(result, field) for result in self.results[name])

    def ratio(self, field: str) -> float:
        theirs = self.median(THEIRS, field)
        return self.median(OURS, field) / theirs if theirs else float("inf")

    @property
    def field(self) -> str:
        return "p50_ms" if self.case.is_latency else "rate"

    def lines(self) -> list[str]:
        lines = [f"\n{self.case.name}: {self.case.words}"]
        for name, runs in self.results.items():
            if runs:
                unit = " ms" if self.case.is_latency else "/s"
                lines.append(
                    f"  {name:8} {spread([getattr(run, self.field) for run in runs])}{unit}"
                    f"  CPU {spread([run.cpu_ms for run in runs])} ms  {self.median(name, 'memory'):.0f} MiB"
                    f"  ({len(runs)} runs)"
                    + (f"  {self.median(name, 'questions'):,.0f} DNS questions" if runs[0].questions else "")
                )
        if self.is_whole:
            what = "of Postfix's time" if self.case.is_latency else "times Postfix"
            lines.append(f"  ratio    {self.ratio(self.field):.2f} {what} (goal {self.case.goal:g}),"
                         f" CPU {self.ratio('cpu_ms'):.2f}, memory {self.ratio('memory'):.2f}")  # fmt: skip
        return lines

    def bar(self) -> Bar:
        """Better is more, whatever was measured."""
        ratio, goal = self.ratio(self.field), self.case.goal
        if self.case.is_latency:
            ratio, goal = 1 / ratio, 1 / goal
            note = f"{_time(self.median(OURS, 'p50_ms'))}, Postfix {_time(self.median(THEIRS, 'p50_ms'))}"
        else:
            note = f"{self.median(OURS, 'rate'):.4g}/s, Postfix {self.median(THEIRS, 'rate'):.4g}/s"
        if self.case.kind not in WITHOUT_MESSAGES:
            note += f"; CPU {self.ratio('cpu_ms'):.2f}"
        return Bar(self.case.name, ratio, goal, note)


def table(rows: Sequence[Row]) -> str:
    """Medians, as Markdown."""
    lines = [
        "| case | Mercury | Postfix | ratio | goal | CPU a message, ms | ratio | memory, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if not row.is_whole:
            continue
        unit = " ms" if row.case.is_latency else "/s"
        goal = f"≤ {row.case.goal:g}" if row.case.is_latency else f"≥ {row.case.goal:g}"
        cpu, cpu_ratio = "", ""
        if row.case.kind not in WITHOUT_MESSAGES:
            cpu = f"{row.median(OURS, 'cpu_ms'):.3g} : {row.median(THEIRS, 'cpu_ms'):.3g}"
            cpu_ratio = f"{row.ratio('cpu_ms'):.2f}"
        lines.append(
            f"| {row.case.name}: {row.case.words} | {row.median(OURS, row.field):.4g}{unit} |"
            f" {row.median(THEIRS, row.field):.4g}{unit} | {row.ratio(row.field):.2f} | {goal} |"
            f" {cpu} | {cpu_ratio} |"
            f" {row.median(OURS, 'memory'):.0f} : {row.median(THEIRS, 'memory'):.0f} |"
        )
    return "\n".join(lines)


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def picture(rows: Sequence[Row]) -> str:
    return bars("Mercury beside Postfix", [row.bar() for row in rows if row.is_whole])
