"""The map of the house: which room may import which, and which rooms touch nothing of the world.

To move a wall, change the table here in the same commit and say why (docs/architecture.md has the picture).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the top; a room imports only from lines below its own, never its neighbour.
FLOORS = [
    {"mercury_s", "mercury_c", "mercury_e", "shared.admin", "shared.web"},
    {"shared.service", "shared.oauth"},
    {"shared.delivery", "shared.transport", "shared.control", "shared.survey", "shared.vantage"},
    {"shared.spool", "shared.dns", "shared.tls", "shared.state", "shared.config", "shared.history"},
    {"shared.observe"},  # below those who have something to say: the spool sets an entry aside with an event
    {"shared.smtp", "shared.mime", "shared.dkim", "shared.routing", "shared.retry", "shared.dsn", "shared.maildir"},
    {"shared.mail"},
]
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

PURE = {
    "shared.mail", "shared.smtp", "shared.mime", "shared.dkim", "shared.routing", "shared.retry", "shared.dsn",
    "mercury_s.policy", "mercury_e.mx", "mercury_e.reach", "mercury_e.dane", "mercury_e.breaker",
    "mercury_e.mta_sts", "mercury_e.tls_report", "mercury_e.manners",
    "shared.vantage.knock", "shared.vantage.spf", "shared.vantage.light", "shared.vantage.dkim_key",
    "shared.vantage.public_space",
}  # fmt: skip
WORLD = {"twisted", "socket", "ssl", "os", "time", "random", "secrets", "logging", "asyncio", "threading"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}


def modules() -> list[Path]:
    return sorted(
        path
        for top in ("mercury_s", "mercury_c", "mercury_e", "shared")
        for path in (ROOT / top).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    return next((room for room in FLOOR_OF if module == room or module.startswith(room + ".")), None)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            yield node.lineno, node.module or ""


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_room_imports_downward_only(path: Path) -> None:
    room = room_of(dotted(path))
    if room is None:
        assert dotted(path) == "shared", f"{path} stands in no room of the map"
        return
    for line, name in imports(path):
        other = room_of(name)
        if name.split(".")[0] in ("shared", "mercury_s", "mercury_c", "mercury_e") and other is None:
            assert name == "shared", f"{path}:{line}: {name} is in no room of the map"
        if other and other != room:
            assert FLOOR_OF[other] > FLOOR_OF[room], f"{path}:{line}: {room} may not import {other}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_pure_room_touches_nothing_of_the_world(path: Path) -> None:
    module = dotted(path)
    if not any(module == pure or module.startswith(pure + ".") for pure in PURE):
        return
    for line, name in imports(path):
        assert name.split(".")[0] not in WORLD, f"{path}:{line}: a pure room imports {name}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_file_has_a_noun_and_says_so(path: Path) -> None:
    assert not FORBIDDEN_NAMES & set(path.with_suffix("").parts), f"{path}: a name that says nothing"
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} does not say what lives in it"


@pytest.mark.parametrize("path", [p for p in modules() if p.name == "__init__.py"], ids=dotted)
def test_an_init_holds_a_docstring_and_nothing_that_runs(path: Path) -> None:
    body = ast.parse(path.read_text()).body[1:]
    assert all(isinstance(node, ast.Assign) for node in body), f"{path} holds more than a docstring"
