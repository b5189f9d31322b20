"""Writes docs/settings.md, docs/events.md, docs/metrics.md and docs/replies.md from the code; `make reference`, or with --check a look
whether they are current. Run from the root of the project."""

# ruff: noqa: E501 - the long lines are prose

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.admin.manual import manual
from shared.admin.meanings import meanings
from shared.admin.schema import schema
from shared.config.model import Config
from shared.config.names import group_in
from shared.config.setting import Setting, fields_of
from shared.config.standing import restarts
from shared.history.selection import KEPT
from shared.observe import events, metrics
from shared.observe.events import Event
from shared.observe.metrics import Kind

ROOT = Path(__file__).resolve().parent.parent
NOTE = "Written by `make reference` from the code; a test holds it current.\n"


def events_page() -> str:
    text = (
        f"# Events\n\n{NOTE}\n"
        "Everything that happens is said as one of these events: as a line on stderr or in the journal, and as a JSON\n"
        "object in `<state>/events/<daemon>.jsonl` (`at`, `daemon`, `event`, then its fields). A name never changes its\n"
        "meaning. Events that name a queue id (`id`), and those marked *kept*, are in the [history](history.md); all are\n"
        "counted as `mercury_events_total` ([metrics](metrics.md)).\n"
    )
    source = (ROOT / "shared/observe/events.py").read_text()
    for line in source[source.index("# The life of a daemon.") :].splitlines():
        if line.startswith("# "):
            text += f"\n## {line[2:].rstrip('.')}\n\n| event | priority | meaning |\n|---|---|---|\n"
        elif found := re.match(r"([A-Z_]+) = Event\(", line):
            event: Event = getattr(events, found[1])
            kept = " *Kept.*" if event in KEPT else ""
            text += f"| `{event}` | {event.priority.name.lower()} | {_cell(event.meaning)}.{kept} |\n"
    return text


def metrics_page() -> str:
    text = (
        f"# Metrics\n\n{NOTE}\n"
        "With `metrics: {listen: 127.0.0.1:9925}` and after `systemctl restart mercury.target` the daemons show their numbers at\n"
        "`http://127.0.0.1:9925/metrics` (`curl` shows them) in Prometheus's text format. There is one address for all three daemons and their workers: the first to start\n"
        "answers for all, and when it ends another takes its place within five seconds. Numbers of other processes are\n"
        "two seconds old at most, those of the queue ten (longer where a lane holds hundreds of thousands). Whoever can\n"
        "connect can read them; they hold no addresses of people. [etc/grafana.json](../etc/grafana.json) is a dashboard (of the\n"
        "Debian package: `/opt/mercury/share/mercury/grafana.json`). In `/etc/prometheus/prometheus.yml`, below `scrape_configs:`\n\n"
        "```yaml\n  - job_name: mercury\n    static_configs:\n      - targets: [127.0.0.1:9925]\n```\n\n"
        "All but those of the spool have the label `daemon` (mercury-s, mercury-c, mercury-e). No label has more than\n"
        f"{metrics.MOST_SERIES} values; what is beyond is counted as `{metrics.OTHER}`. A rate of connections reused:\n"
        '`rate(mercury_connection_messages_total[5m]) / rate(mercury_connections_total{result="opened"}[5m])`.\n\n'
        "| metric | kind | labels | meaning |\n|---|---|---|---|\n"
    )
    for metric in metrics.ALL:
        labels = ", ".join(metric.labels if metric.is_of_spool else ("daemon", *metric.labels))
        text += f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.meaning)} |\n"
    text += "\nUpper bounds of the buckets, in seconds:\n\n"
    for metric in metrics.ALL:
        if metric.kind is Kind.HISTOGRAM:
            text += f"* `{metric.name}`: {', '.join(f'{bound:g}' for bound in metric.buckets)}\n"
    return text


def replies_page() -> str:
    text = (
        f"# Replies\n\n{NOTE}\n"
        "What we answer, by code: to clients of MercuryS, and in reports and trails where we speak of a delivery ourselves.\n"
        "`{...}` stands for what is known only then. Replies of filters and rules are those of the configuration; what\n"
        "other servers say is passed on as they said it.\n\n"
        "| code | status | text | said in |\n|---|---|---|---|\n"
    )
    rows = {row for folder in ("shared", "mercury_s", "mercury_c", "mercury_e") for row in _replies(folder)}
    return text + "".join(
        f"| {code} | {status} | {_cell(words)} | `{where}` |\n" for code, status, words, where in sorted(rows)
    )


def _replies(folder: str) -> Iterator[tuple[int, str, str, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "admin" in path.parts:
            continue  # the demonstration and the command line, not a server
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reply":
                match node.args:
                    case [ast.Constant(int(code)), ast.Constant(str(status)), words]:
                        yield code, status, _words(words), str(path.relative_to(ROOT))


def _words(node: ast.expr) -> str:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(_words(value) if isinstance(value, ast.Constant) else "{...}" for value in values)
    return "{...}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def settings_page() -> str:
    known = meanings()
    made = schema(known)
    text = (
        f"# Settings\n\n{NOTE}\n"
        "Every setting of the file, in the order of the models that read it: names and types are theirs, defaults and\n"
        "meanings those of [configuration.md](configuration.md), which says the rest. `sites.*` stands for any name,\n"
        "`[]` for each of a list; – is a setting that must be given. `mercury config explain KEY` tells the same of one.\n\n"
        "A size is in octets, or a number with K, M, G, T; a time in seconds, or with ms, s, m, h, d, w; a rate a number and a time\n"
        "(`60/1m`); a percentage a number with or without %. A changed setting is put in force by `mercury reload`, where nothing\n"
        "else is said: *restart* are those that only a restart of the daemons puts in force, and `restart-needed` says so.\n\n"
        "| setting | type | default | in force by | meaning |\n|---|---|---|---|---|\n"
    )
    for name, kind in _settings(Config, made, made["$defs"], ""):
        meaning = known[name]
        first = re.split(r"(?<=\.) ", meaning.text, maxsplit=1)[0]
        force = "" if kind == "group" else f"*restart* of {', '.join(who)}" if (who := restarts(name)) else "reload"
        text += f"| `{name}` | {_cell(kind)} | {_cell(meaning.default)} | {force} | {_cell(first)} |\n"
    return text


def _settings(
    model: type[Setting], group: dict[str, Any], groups: dict[str, Any], prefix: str
) -> Iterator[tuple[str, str]]:
    for name, field in fields_of(model).items():
        mark, inner = group_in(field.annotation)
        yield prefix + name, _type(group["properties"][name], groups)
        if inner is not None:
            yield from _settings(inner, groups[inner.__name__], groups, f"{prefix}{name}{mark}.")


def _type(schema: dict[str, Any], groups: dict[str, Any]) -> str:
    """In words, of what may stand in the file."""
    if "$ref" in schema:
        named = groups[schema["$ref"].rpartition("/")[2]]
        return "group" if "properties" in named else _type(named, groups)
    if "enum" in schema or "const" in schema:
        return ", ".join(str(word) for word in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one, groups) for one in schema["anyOf"] if one.get("type") != "null"))
    if schema.get("format") in _MEASURES:
        return _MEASURES[schema["format"]]
    kind = schema.get("type", "group")
    if kind == "array":
        return f"list of: {_type(schema['items'], groups)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"by name: {_type(inner, groups)}" if isinstance(inner, dict) else "group"
    return " or ".join(_WORDS[each] for each in ([kind] if isinstance(kind, str) else kind) if each != "null")


_MEASURES = {
    "size": "size, in octets",
    "time-span": "time, in seconds",
    "percent": "percentage",
    "rate": "rate, per time",
    "tls-version": "version of TLS",
}
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no", "group": "group"}

PAGES = {
    "settings.md": settings_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "replies.md": replies_page,
}


def main() -> int:
    stale = 0
    for name, page in PAGES.items():
        path, text = ROOT / "docs" / name, page()
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv:
            print(f"docs/{name} is not current: run `make reference`", file=sys.stderr)
            stale = 1
        else:
            path.write_text(text)
    if "--check" not in sys.argv:
        #  Too easily old to be kept: made anew for each build of the book, and ignored by git.
        (ROOT / "docs/man/mercury.1.md").write_text(manual())
    return stale


if __name__ == "__main__":
    sys.exit(main())
