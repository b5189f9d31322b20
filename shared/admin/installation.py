"""Putting an installation onto a host, or into a tree that becomes one: step by step, only what is not so yet.

A step says what it does before it is done, so that it can be rehearsed. Mail, mailboxes and configuration are never
removed here. Not here: what the files hold (unit_files.py).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from shared.admin.ports import listening, taken_port
from shared.admin.unit_files import (
    ADMIN,
    CONFIG,
    DAEMONS,
    FOLDERS,
    PAGE,
    PRESET,
    PROGRAMS,
    VENDOR,
    WAYS,
    first_configuration,
    folder_files,
    general_files,
    preset,
    socket_files,
)
from shared.config.load import load
from shared.mail.record import dataclass

_SOCKETS = "mercury-s-*.socket"


class CommandFailed(Exception):
    """A program of the system did not do what it was asked; one line."""


@dataclass(frozen=True, slots=True)
class Step:
    words: str
    do: Callable[[], object]


class Host:
    """The host itself, or a tree at `root` that becomes one; there nothing is started. `folders`: see unit_files."""

    def __init__(self, root: Path = Path("/"), programs: str = PROGRAMS, is_package: bool = False) -> None:
        self.root = root
        self.programs = programs
        self.is_live = root == Path("/")
        self.folders = VENDOR if is_package else ADMIN

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def version(self) -> int:
        """systemd's; of a tree nothing is known."""
        if not self.is_live:
            return 0
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"systemd (\d+)", said)
        return int(found[1]) if found else 0

    def put(self, path: str, text: str) -> Iterator[Step]:
        """Unless it is there already, or the package has brought the same."""
        vendors = [path.replace(ADMIN[kind], VENDOR[kind], 1) for kind in ADMIN if path.startswith(ADMIN[kind])]
        if all(_holds(self.at(known)) != text for known in (path, *vendors)):
            yield Step(f"write {path}", lambda: _write(self.at(path), text))

    def command(self, *words: str) -> Step:
        return Step(f"run {' '.join(words)}", lambda: _run(words))

    def systemctl(self, *words: str) -> Step:
        return self.command("systemctl", *([] if self.is_live else [f"--root={self.root}"]), *words)

    def tool(self, *words: str) -> Step:
        return self.command(*words[:1], *([] if self.is_live else [f"--root={self.root}"]), *words[1:])


def plan_package(host: Host) -> Iterator[Step]:
    """The files that are the same at every site; accounts and the rest are for `mercury setup` on the host."""
    for path, text in general_files(host.folders, host.programs, host.version).items():
        yield from host.put(path, text)


def plan_setup(host: Host, way: str) -> Iterator[Step]:
    """Everything for a site of this way. Raises ConfigErrors when there is a configuration and it has errors."""
    changed = list(_put_all(host, general_files(host.folders, host.programs, host.version)))
    yield from changed
    yield from host.put(PRESET, preset(way))
    yield host.tool("systemd-sysusers", "mercury.conf")
    yield host.tool("systemd-tmpfiles", "--create", "mercury.conf")
    if not host.at(CONFIG).exists():
        yield Step(f"write {CONFIG}", lambda: _write_config(host, first_configuration(way)))
    config = load(host.at(CONFIG)) if host.at(CONFIG).exists() else None  # a rehearsal has none
    listeners = [(one.address, one.port) for one in config.receive.listeners] if config else [("", 25)]
    _refuse_taken(host, listeners)
    opened = list(_open_folders(host, folder_files(host.folders, config) if config else {}))
    yield from opened
    sockets = socket_files(host.folders, listeners)
    new = list(_put_all(host, sockets))
    names = [Path(path).name for path in sockets]
    yield from new
    dropped = list(_drop_sockets(host, keep=names))
    yield from dropped
    yield from _enable(host, way, names)
    if host.is_live:
        #  MercuryS ends before its new sockets are opened: systemd opens none for a service that runs.
        #  One job does both, so that no client starts it in between.
        yield from [host.systemctl("restart", "mercury-s.service")] if new else []
        yield host.systemctl("start", *names, "mercury.target")
        again = WAYS[way] + (PAGE,) if changed or opened else ("mercury-s",) if dropped and not new else ()
        yield from [host.systemctl("try-restart", *(f"{daemon}.service" for daemon in again))] if again else []


def _refuse_taken(host: Host, listeners: Sequence[tuple[str, int]]) -> None:
    """Before anything is enabled that would fight for the port at the next boot. Raises CommandFailed."""
    if host.is_live and (taken := taken_port(listeners, listening())):
        do = "stop that server, or give Mercury another port for now (receive.listeners)"
        raise CommandFailed(f"{taken}, and {CONFIG} wants it: {do}")


def _open_folders(host: Host, wanted: dict[str, str]) -> Iterator[Step]:
    yield from _put_all(host, wanted)
    for path in sorted(host.at(host.folders["unit"]).glob(f"mercury-*.service.d/{FOLDERS}")):
        if f"/{path.relative_to(host.root)}" not in wanted:
            yield _removal(host, path)


def _enable(host: Host, way: str, sockets: Sequence[str]) -> Iterator[Step]:
    services = [f"{daemon}.service" for daemon in DAEMONS]
    if host.is_live:
        yield host.systemctl("daemon-reload")
    yield host.systemctl("preset", "mercury.target", *services, *sockets)
    if not host.is_live:
        return
    unwanted = [f"{daemon}.service" for daemon in DAEMONS if daemon not in WAYS[way]]
    if unwanted:
        yield host.systemctl("stop", *unwanted)


def _put_all(host: Host, files: dict[str, str]) -> Iterator[Step]:
    for path, text in files.items():
        yield from host.put(path, text)


def _drop_sockets(host: Host, keep: Sequence[str]) -> Iterator[Step]:
    """Of listeners that are no longer in the configuration."""
    for path in sorted(host.at(host.folders["unit"]).glob(_SOCKETS)):
        if path.name not in keep:
            yield host.systemctl("disable", *(["--now"] if host.is_live else []), path.name)
            yield _removal(host, path)


def plan_removal(host: Host) -> Iterator[Step]:
    """Stop the daemons and take away what setup has written. Mail, mailboxes, state and configuration stay."""
    units = host.at(host.folders["unit"])
    here = _units_in(units)
    #  Those of a package are stopped, and go with it.
    names = sorted({path.name for path in (*here, *_units_in(host.at(VENDOR["unit"])))})
    if names:
        yield host.systemctl("disable", *(["--now"] if host.is_live else []), *names)
    drop_ins = (*units.glob("mercury-[sce].service.d/*"), *units.glob(f"{PAGE}.service.d/*"))
    ours_too = [path for path in drop_ins if path.name in ("10-notify-reload.conf", FOLDERS)]
    paths = [*here, *ours_too, host.at(PRESET)]
    paths += [host.at(f"{host.folders[kind]}/mercury.conf") for kind in ("sysusers", "tmpfiles")]
    for path in paths:
        if path.exists():
            yield _removal(host, path)
    if here and host.is_live:
        yield host.systemctl("daemon-reload")


def _units_in(folder: Path) -> list[Path]:
    services = (*folder.glob("mercury-[sce].service"), folder / f"{PAGE}.service")
    ours = (folder / "mercury.target", *services, *folder.glob(_SOCKETS))
    return sorted(path for path in ours if path.exists())


def _removal(host: Host, path: Path) -> Step:
    return Step(f"remove /{path.relative_to(host.root)}", partial(_remove, path))


def _remove(path: Path) -> None:
    """With the folder of drop-ins that it was the last of."""
    path.unlink()
    if path.parent.name.endswith(".service.d"):
        with suppress(OSError):
            path.parent.rmdir()


def _holds(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.chmod(mode)
    part.rename(path)


def _write_config(host: Host, text: str) -> None:
    path = host.at(CONFIG)
    _write(path, text, 0o640)
    groups = [line.split(":") for line in host.at("/etc/group").read_text().splitlines()]
    numbers = [int(words[2]) for words in groups if words[0] == "mercury"]
    if not numbers:
        raise CommandFailed("there is no group mercury: systemd-sysusers has not made it")
    os.chown(path, 0, numbers[0])


def _run(words: Sequence[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandFailed(f"there is no {words[0]}: Mercury is set up by this only where systemd runs") from None
    #  systemd-tmpfiles says 65 or 73 for lines of other people's that it could not follow.
    if done.returncode and not (words[0] == "systemd-tmpfiles" and done.returncode in (65, 73)):
        said = " ".join((done.stderr or done.stdout).split())
        raise CommandFailed(f"{' '.join(words)} ended with {done.returncode}: {said}")
