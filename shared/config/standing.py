"""Every setting in force with its value and where it came from, one a line; which differ between two of them, and
which of these only a restart puts in force.

Names are dotted, as in `sites.hq.smarthosts[0].host`. Not here: what a setting means (meanings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from shared.config.model import Config
from shared.config.setting import Setting, fields_of
from shared.config.written import Unit, as_written, unit_of
from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """`value` is plain (text, numbers, lists); file "" and line 0: a default. `unit`: what its numbers count."""

    key: str
    value: Any
    file: str = ""
    line: int = 0
    unit: Unit = Unit.NONE

    @property
    def is_default(self) -> bool:
        return not self.file

    @property
    def written(self) -> str:
        """The value as a person would write it."""
        return as_written(self.value, self.unit)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "default"


def standings(config: Config) -> Iterator[Standing]:
    """Every value there is, in the order of the models."""
    yield from _group("", config, config.plain())


def changed_keys(old: Config, new: Config) -> list[str]:
    """The names of the settings whose values differ, are new or gone; never the values. Of a group new or gone
    as a whole its own name, and not all that is in it."""
    before, after = ({one.key: one.value for one in standings(config)} for config in (old, new))
    groups = [{above for key in known for above in _above(key)} for known in (before, after)]
    changed: dict[str, None] = {}
    for key in before | after:
        if key in before and key in after:
            if before[key] != after[key]:
                changed[key] = None
        else:
            others = groups[key in before]
            changed[next((above for above in _above(key) if above not in others), key)] = None
    return list(changed)


def _above(key: str) -> Iterator[str]:
    """The groups that a setting stands in: of `a.b[0].c` these are `a`, `a.b`, `a.b[0]`."""
    return (key[: found.start()] for found in re.finditer(r"\.|\[", key))


_EVERY = ("mercury-s", "mercury-c", "mercury-e", "mercury-web")
_TRANSPORT = _EVERY[:3]
#  What a reload leaves as it is, by the daemons whom it concerns.
_RESTART = {
    "spool": _EVERY,
    "state": _EVERY,
    "run": _EVERY,
    "receive.listeners": ("mercury-s",),
    "receive.workers": ("mercury-s",),
    "receive.pickup.enabled": ("mercury-s",),
    "receive.pickup.folder": ("mercury-s",),
    "queue.sync": _TRANSPORT,
    "metrics.listen": _TRANSPORT,
    "web.listen": ("mercury-web",),
}


def restarts(name: str) -> tuple[str, ...]:
    """The daemons that must be restarted after a change of the setting; none: a reload does it."""
    return next(
        (who for setting, who in _RESTART.items() if f"{name}.".startswith((f"{setting}.", f"{setting}["))), ()
    )


def need_restart(daemon: str, changed: Iterable[str]) -> list[str]:
    """Which of the settings that a restart of `daemon` puts in force are among `changed`, or below one of these."""
    names = [f"{name}." for name in changed]
    return [
        setting
        for setting, who in _RESTART.items()
        if daemon in who
        and any(name.startswith((f"{setting}.", f"{setting}[")) or setting.startswith(name) for name in names)
    ]


def _group(prefix: str, group: Setting, dumped: dict[str, Any]) -> Iterator[Standing]:
    origin = group.origin
    for name, field in fields_of(type(group)).items():
        key = f"{prefix}.{name}" if prefix else name
        place = (origin.file_of(name), origin.values[name][0]) if name in origin.values else ("", 0)
        yield from _value(key, getattr(group, name), dumped[name], place, unit_of(field))


def _value(key: str, value: Any, dumped: Any, place: tuple[str, int], unit: Unit) -> Iterator[Standing]:
    if isinstance(value, Setting):
        yield from _group(key, value, dumped)
    elif isinstance(value, dict) and any(isinstance(below, Setting) for below in value.values()):
        for name, below in value.items():
            yield from _value(f"{key}.{name}", below, dumped[name], place, unit)
    elif isinstance(value, tuple) and any(isinstance(item, Setting) for item in value):
        for number, item in enumerate(value):
            yield from _value(f"{key}[{number}]", item, dumped[number], place, unit)
    else:
        yield Standing(key, dumped, *place, unit)
