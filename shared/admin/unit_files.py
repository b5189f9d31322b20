"""What an installation consists of: units, accounts, folders, a preset and a first configuration, as texts by path.

The originals lie in etc/ of a checkout, or in share/mercury of an installed environment. Here: which files belong on
a host, and what stands in them. Not here: putting them there (installation.py).
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from shared.config.model import Config
from shared.service.listen import socket_name

DAEMONS = ("mercury-s", "mercury-c", "mercury-e")
#  Installed beside them, and started by whoever wants it.
PAGE = "mercury-web"
#  Which daemons a site runs.
WAYS = {"relay": ("mercury-s", "mercury-c"), "direct": ("mercury-s", "mercury-e"), "auto": DAEMONS}
CONFIG = "/etc/mercury/mercury.yaml"
PROGRAMS = "/opt/mercury/bin"
#  From this version on a reload is known to be finished when the daemon says so.
NOTIFY_RELOAD = 253

#  For the administrator's setup, and for a package.
ADMIN = {"unit": "/etc/systemd/system", "sysusers": "/etc/sysusers.d", "tmpfiles": "/etc/tmpfiles.d"}
VENDOR = {"unit": "/usr/lib/systemd/system", "sysusers": "/usr/lib/sysusers.d", "tmpfiles": "/usr/lib/tmpfiles.d"}
PRESET = "/etc/systemd/system-preset/60-mercury.preset"

#  Written by setup where a site keeps its mail elsewhere.
FOLDERS = "20-folders.conf"
_FOLDERS_HEAD = "# Written by `mercury setup` from the folders that the configuration names.\n"
_OPEN = tuple(
    Path(path)
    for path in (
        "/var/spool/mercury",
        "/var/spool/mercury-pickup",
        "/var/lib/mercury",
        "/var/mail/mercury",
        "/run/mercury",
    )
)

_HELD = """
# Mail to other domains is held until this site has a smarthost: name it, take the "#" away, and write relay for hold.
# Its password goes into the file secrets/mercury-c/isp, mode 0600.
sites:
  here:
    delivery: hold
#    networks: [192.168.1.0/24]
#    smarthosts:
#      - {host: smtp.isp.example, login: office, password_file: secrets/mercury-c/isp}
"""
_DIRECT = """
# Mail to other domains goes to their own servers. networks: the clients of this site, who may send it.
sites:
  here:
    delivery: direct
#    networks: [192.168.1.0/24]
"""


def source() -> Path:
    """The folder of the originals. Raises FileNotFoundError."""
    checkout = Path(__file__).resolve().parents[2] / "etc"
    installed = Path(sysconfig.get_path("data")) / "share" / "mercury"
    for folder in (checkout, installed):
        if (folder / "systemd" / "mercury.target").is_file():
            return folder
    raise FileNotFoundError(2, "the units that belong to this program are missing", str(installed))


def general_files(folders: dict[str, str], programs: str, version: int) -> dict[str, str]:
    """What is the same at every site, by path. `version` is systemd's; 0 when it is not known."""
    etc = source() / "systemd"
    units = folders["unit"]
    files = {
        f"{units}/mercury.target": (etc / "mercury.target").read_text(),
        f"{folders['sysusers']}/mercury.conf": (etc / "sysusers.d" / "mercury.conf").read_text(),
        f"{folders['tmpfiles']}/mercury.conf": (etc / "tmpfiles.d" / "mercury.conf").read_text(),
    }
    for daemon in (*DAEMONS, PAGE):
        text = (etc / f"{daemon}.service").read_text()
        files[f"{units}/{daemon}.service"] = text.replace(f"{PROGRAMS}/{daemon}", f"{programs}/{daemon}")
        if version >= NOTIFY_RELOAD:
            drop_in = (etc / "drop-ins" / "notify-reload.conf").read_text()
            files[f"{units}/{daemon}.service.d/10-notify-reload.conf"] = drop_in
    return files


def folder_files(folders: dict[str, str], config: Config) -> dict[str, str]:
    """Drop-ins that open what the configuration names elsewhere: by its unit a daemon writes to the usual places."""
    mailboxes = Path(os.path.dirname(config.local.maildir.partition("{")[0]))
    shared = (config.spool, config.state, config.run)
    wanted = {
        "mercury-s": (*shared, mailboxes, config.pickup_folder),
        "mercury-c": shared,
        "mercury-e": shared,
        PAGE: (config.state / "events", config.state / "history", config.run),
    }
    files = {}
    for daemon, paths in wanted.items():
        if strange := [path for path in dict.fromkeys(paths) if _is_closed(path)]:
            text = f"{_FOLDERS_HEAD}[Service]\nReadWritePaths={' '.join(f'-{_quoted(path)}' for path in strange)}\n"
            files[f"{folders['unit']}/{daemon}.service.d/{FOLDERS}"] = text
    return files


def _is_closed(path: Path) -> bool:
    return path != Path("/") and not any(path.is_relative_to(usual) for usual in _OPEN)


def _quoted(path: Path) -> str:
    """As a word of a unit file."""
    text = str(path).replace("%", "%%")
    return text if re.fullmatch(r"[\w./%+@:-]+", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def preset(way: str) -> str:
    return (source() / "systemd" / "presets" / f"mercury-{way}.preset").read_text()


def socket_files(folders: dict[str, str], listeners: Iterable[tuple[str, int]]) -> dict[str, str]:
    """A socket unit for each listener, which is an address (may be empty: all) and a port."""
    files = {}
    for address, port in listeners:
        name = socket_name(address, port)
        files[f"{folders['unit']}/{name}.socket"] = _socket_unit(name, address, port)
    return files


def _socket_unit(name: str, address: str, port: int) -> str:
    text = (source() / "systemd" / "mercury-s-25.socket").read_text()
    text = text.replace("port 25\n", f"port {port}\n").replace("mercury-s-25\n", f"{name}\n")
    if not address:
        return re.sub(r"(?m)^(ListenStream=.*):25$", rf"\1:{port}", text)
    where = f"[{address}]" if ":" in address else address
    head, _, rest = re.sub(r"(?m)^ListenStream=.*\n", "ListenStream=\n", text).partition("ListenStream=\n")
    return f"{head}ListenStream={where}:{port}\n{rest.replace('ListenStream=' + chr(10), '')}"


def first_configuration(way: str) -> str:
    """The commented sample, and a site that is right for the way."""
    return (source() / "mercury.yaml").read_text() + (_DIRECT if way == "direct" else _HELD)
