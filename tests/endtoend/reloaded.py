"""Starts a daemon, reloads it with another value of every number, time, size and switch, starts another one with those, and
prints what the first one still has of old: a line of JSON, path → [what it has, what the other one has].

A program: the daemons want a process with a reactor. `python reloaded.py DAEMON FOLDER`; FOLDER/mercury.yaml is there.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import sys
import types
from collections import deque
from pathlib import Path
from typing import Any

from shared.config.load import load
from shared.config.model import Config
from shared.config.setting import Setting, fields_of
from shared.config.standing import restarts
from shared.config.written import Unit, unit_of
from shared.service import reactor

ROOMS = ("mercury_s", "mercury_c", "mercury_e", "shared")
DEEPEST = 16
FACTOR, MORE = 1.25, 3
#  Switches that need nothing else to be set.
SWITCHES = frozenset(
    {"first_last", "at_rcpt", "srs", "greet_first", "priorities", "subjects", "trust_ad", "tls_reports"}
)
#  Their words have a meaning; and what listens is not changed by a reload.
LEFT = frozenset({"port", "weight", "priority"})


def changed(group: Setting, path: str = "") -> Any:
    """The group with other values, where another one is possible and a reload puts it in force."""
    new: dict[str, Any] = {}
    for name, field in fields_of(type(group)).items():
        key = f"{path}.{name}" if path else name
        value = getattr(group, name)
        if restarts(key) or name in LEFT:
            continue
        if isinstance(value, Setting):
            new[name] = changed(value, key)
        elif isinstance(value, dict) and all(isinstance(item, Setting) for item in value.values()):
            new[name] = {word: changed(item, f"{key}.{word}") for word, item in value.items()}
        elif isinstance(value, tuple) and value and all(isinstance(item, Setting) for item in value):
            new[name] = tuple(changed(item, f"{key}[]") for item in value)
        elif isinstance(value, bool):
            new[name] = not value if name in SWITCHES else value
        elif isinstance(value, (int, float)) and unit_of(field) is not Unit.NONE:
            new[name] = type(value)(value * FACTOR)
        elif isinstance(value, int):
            new[name] = value + MORE
    return group.replaced(**new)


def state(thing: Any, path: str, found: dict[str, Any], seen: dict[int, Any]) -> dict[str, Any]:
    """Every plain value that is reached from `thing` by what is ours, by the way to it."""
    if isinstance(thing, (int, float)):
        found[path] = thing
        return found
    if id(thing) in seen or path.count("/") > DEEPEST:
        return found
    seen[id(thing)] = thing
    for name, part in _parts(thing):
        state(part, f"{path}/{name}", found, seen)
    return found


def _parts(thing: Any) -> list[tuple[str, Any]]:
    if isinstance(thing, dict):
        return [(str(key), value) for key, value in list(thing.items()) if isinstance(key, str)]
    if isinstance(thing, (list, tuple, deque)):
        return [(str(number), item) for number, item in enumerate(list(thing)[:50])]
    if isinstance(thing, functools.partial):
        return [("function", thing.func), ("arguments", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, types.MethodType):
        return [("self", thing.__self__)]
    if isinstance(thing, types.FunctionType):
        return list(zip(thing.__code__.co_freevars, map(_content, thing.__closure__ or ()), strict=True))
    if not str(type(thing).__module__).startswith(ROOMS):
        return []
    slots = [name for kind in type(thing).__mro__ for name in _tuple(kind.__dict__.get("__slots__", ()))]
    names = dict.fromkeys([*slots, *getattr(thing, "__dict__", {})])
    return [(name, getattr(thing, name)) for name in names if not name.startswith("__") and hasattr(thing, name)]


def _tuple(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


async def left_over(letter: str, old: Config, new: Config) -> dict[str, list[Any]]:
    from shared.service.observed import Observed

    build = importlib.import_module(f"mercury_{letter}.__main__").build
    daemon = Observed(f"mercury-{letter}", build(old), old)
    await daemon.start()
    before = state(daemon, "", {}, {})
    await daemon.reload(new)
    after = state(daemon, "", {}, {})
    await daemon.stop(0.0)
    other = Observed(f"mercury-{letter}", build(new), new)
    await other.start()
    fresh = state(other, "", {}, {})
    return {
        path: [value, fresh[path]]
        for path, value in after.items()
        if before.get(path) == value and _is_changed(path, value, fresh.get(path, value))
    }


def _is_changed(path: str, old: Any, new: Any) -> bool:
    """In the way of `changed`, and not because time has passed: a quarter more, three more, or the other way round."""
    if isinstance(old, bool) and isinstance(new, bool):
        return old is not new and path.rpartition("/")[2].lstrip("_") in SWITCHES
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)) or isinstance(old, bool):
        return False
    return new - old == MORE or (bool(old) and abs(new / old - FACTOR) < 1e-9)


def main() -> None:
    letter, folder = sys.argv[1], Path(sys.argv[2])
    old = load(folder / "mercury.yaml", lambda: "mail.hq.example")
    new = changed(old)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    reactor.install(loop)
    print(json.dumps(loop.run_until_complete(left_over(letter, old, new))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
