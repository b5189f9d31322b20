"""How the commands show things: tables for people, one JSON object a line for programs.

Whatever came from outside (addresses, replies, file names) is escaped before it reaches a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import click

from shared.mail.reply import printable

_SCALES = ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"))
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def echo_json(fields: Mapping[str, Any]) -> None:
    click.echo(json.dumps(fields, separators=(", ", ": ")))


def fail(text: str, code: int) -> NoReturn:
    """Ends the command: what is wrong on standard error, and the exit code (command.py)."""
    click.echo(printable(f"mercury: {text}"), err=True)
    sys.exit(code)


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Aligned columns with their names. A terminal's last columns are cut at its width, a pipe gets everything."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", justify="right" if column in right else "left")
    for row in rows:
        table.add_row(*[Text(printable(cell)) for cell in row])
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100_000, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def age(seconds: float) -> str:
    """A span of time in its two largest units: 3d04h, 1h52m, 4m, 12s."""
    whole = max(0, int(seconds))
    for (size, unit), below in zip(_UNITS, (*_UNITS[1:], None), strict=True):
        if whole >= size:
            rest = whole % size // below[0] if below else 0
            return f"{whole // size}{unit}" + (f"{rest:02d}{below[1]}" if below and rest else "")
    return f"{whole}s"


def count_text(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def octets(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    amount, unit = next(((size / scale, unit) for scale, unit in _SCALES if size < 999.5 * scale), (size / 1e9, "GB"))
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def moment(at: float) -> str:
    """Local time to the millisecond."""
    thousandths = int(at * 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(thousandths // 1000)) + f".{thousandths % 1000:03d}"


def when(at: float, now: float) -> str:
    """A moment as seen from now: `in 4m`, `now`, `4m ago`."""
    if abs(at - now) < 1:
        return "now"
    return f"in {age(at - now)}" if at > now else f"{age(now - at)} ago"
