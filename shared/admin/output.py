"""How the commands show things: tables for people, one JSON object a line for programs.

Whatever came from outside (addresses, replies, file names) is escaped before it reaches a terminal.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

import click

from shared.admin.table import PLAIN, Shape, lay_out
from shared.mail.reply import printable

#  A K is 1024 everywhere, as in the configuration.
_SCALES = ((2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"))
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def echo_json(fields: Mapping[str, Any]) -> None:
    click.echo(json.dumps(fields, separators=(", ", ": ")))


def fail(text: str, code: int) -> NoReturn:
    """Ends the command: what is wrong on standard error, and the exit code (command.py)."""
    click.echo(printable(f"mercury: {text}"), err=True)
    sys.exit(code)


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str]], shape: Shape = PLAIN) -> None:
    """Aligned columns with their names. A terminal's lines end at its width (table.py), a pipe gets all."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = lay_out(columns, [tuple(map(printable, row)) for row in rows], shape, width)
    click.echo(click.style(next(lines), bold=True))
    #  One write for many lines: a listing may have a hundred thousand.
    while some := list(islice(lines, 1000)):
        click.echo("\n".join(some))


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
    scale, unit = next((one for one in _SCALES if size < 999.5 * one[0]), _SCALES[-1])
    amount = size / scale
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def moment(at: float) -> str:
    """Local time to the millisecond."""
    thousandths = int(at * 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(thousandths // 1000)) + f".{thousandths % 1000:03d}"


def when(at: float, now: float) -> str:
    """A moment as seen from now: `in 4m`, `now`, `4m ago`."""
    if abs(at - now) < 1:
        return "now"
    return f"in {age(at - now)}" if at > now else f"{age(now - at)} ago"
