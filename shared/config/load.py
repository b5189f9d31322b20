"""mercury.yaml → Config, or every fault in it at once with its place."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.config.checks import check
from shared.config.merge import merge
from shared.config.model import Config
from shared.config.problem import ConfigErrors, Problem
from shared.config.reading import Faults, Place, read
from shared.config.scalars import parse_hostname
from shared.config.words import problem_of
from shared.config.yaml import Items, Settings, read_yaml

__all__ = ["DEFAULT_PATH", "ConfigErrors", "Problem", "hostname_of_this_host", "load", "parse"]

DEFAULT_PATH = Path("/etc/mercury/mercury.yaml")
PARTS = "conf.d"


def hostname_of_this_host() -> str:
    """What this host calls itself, in full if it knows."""
    name = socket.gethostname()
    try:
        return parse_hostname(name if "." in name else socket.getfqdn(name))
    except ValueError:
        return "localhost"


def load(path: Path, hostname: Callable[[], str] = hostname_of_this_host, in_place_of: Path | None = None) -> Config:
    """The configuration in the file at `path` and in the folder conf.d beside it. Raises ConfigErrors.

    `in_place_of`: read it as if it stood there.
    """
    place = in_place_of or path
    document: Settings | None = None
    problems: list[Problem] = []
    is_whole = True
    for file in (path, *parts_of(place)):
        try:
            more, faults = read_yaml(_text_of(file), str(file))
        except ConfigErrors as errors:
            problems += errors.problems
            is_whole = False
            continue
        problems += faults
        if document is None:
            document = more
        else:
            problems += merge(document, more)
    if document is None or not is_whole:
        #  What is said about settings that stand in a file that could not be read would be guesses.
        raise ConfigErrors(problems)
    return _config_of(document, problems, place, hostname)


def parts_of(path: Path) -> list[Path]:
    """The files that are read after the one at `path`: `*.yaml` of the folder conf.d beside it, by name; hidden ones
    are left, as by a shell. Raises ConfigErrors, also for a name that is nearly right: nobody would see that it is
    passed over."""
    try:
        found = sorted(part for part in (path.parent / PARTS).iterdir() if not part.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigErrors([_unreadable(path.parent / PARTS, error)])
    if wrong := [part for part in found if part.suffix.lower() in (".yaml", ".yml") and part.suffix != ".yaml"]:
        text = "is not read, as its name does not end with .yaml: rename it"
        raise ConfigErrors([Problem(str(part), 0, 0, text) for part in wrong])
    return [part for part in found if part.suffix == ".yaml"]


def _unreadable(path: Path, error: OSError) -> Problem:
    who = ": use sudo, or be in the group of its folder (mercury)" if isinstance(error, PermissionError) else ""
    return Problem(str(path), 0, 0, f"cannot be read: {error.strerror}{who}")


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigErrors([_unreadable(path, error)])
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise ConfigErrors([Problem(str(path), line, column, "the file is not UTF-8")])


def parse(text: str, path: Path, hostname: Callable[[], str] = hostname_of_this_host) -> Config:
    """The configuration in `text` alone, which stood in the file at `path`. Raises ConfigErrors."""
    document, problems = read_yaml(text, str(path))
    return _config_of(document, problems, path, hostname)


def _config_of(document: Settings, problems: list[Problem], path: Path, hostname: Callable[[], str]) -> Config:
    if "hostname" not in document:
        document["hostname"] = hostname()
    folder = os.path.dirname(os.path.abspath(path))
    config: Config | None
    try:
        config = read(Config, document, folder)
    except Faults as error:
        problems += [problem_of(fault, document) for fault in error.faults]
        config = _what_is_right(document, {_group_of(fault.place) for fault in error.faults}, folder)
    if config is not None:
        config = _complete(config)
        problems += check(config, document)
    if problems or config is None:
        raise ConfigErrors(problems)
    return config


def _complete(config: Config) -> Config:
    """The defaults that follow from other settings."""
    changes: dict[str, Any] = {}
    if "domains" not in config.local.given:
        changes["local"] = config.local.replaced(domains=(config.hostname,))
    if not config.site and len(config.sites) == 1:
        changes["site"] = next(iter(config.sites))
    return config.replaced(**changes) if changes else config


def _what_is_right(document: Settings, wrong: set[Place], folder: str) -> Config | None:
    """The configuration without the groups that are wrong in themselves, for the checks between settings."""
    right = _without(document, wrong)
    right.setdefault("hostname", "localhost")
    try:
        return read(Config, right, folder)
    except Faults:
        return None


def _group_of(path: Place) -> Place:
    """What to leave out when the value at `path` is wrong: a listener, a rule, a site, a route, else a setting."""
    if path[:1] == ("sites",):
        return path[:2]
    for number, part in enumerate(path):
        if isinstance(part, int):
            return path[: number + 1]
    return path[:1] if path[:1] == ("tls",) else path[:2]


def _without(node: Any, wrong: set[Place], path: Place = ()) -> Any:
    if isinstance(node, Settings):
        kept = {key: _without(value, wrong, (*path, key)) for key, value in node.items() if (*path, key) not in wrong}
        #  A list that lost all of its items was not written empty.
        kept = {key: value for key, value in kept.items() if value != () or node[key] == ()}
        return Settings(kept, node.origin)
    if isinstance(node, Items):
        numbers = [number for number in range(len(node)) if (*path, number) not in wrong]
        items = [_without(node[number], wrong, (*path, number)) for number in numbers]
        return Items(items, [node.marks[number] for number in numbers], [node.files[number] for number in numbers])
    return node
