"""The units mean what they say: systemd reads every line of them, and the sandbox stays closed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.service.listen import socket_name

FOLDER = Path(__file__).resolve().parents[2] / "etc" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
SOCKETS = sorted(FOLDER.glob("*.socket"))
HIGHEST_EXPOSURE = 1.3

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=30, check=False)


def test_there_is_a_unit_for_each_daemon() -> None:
    assert [path.stem for path in SERVICES] == ["mercury-c", "mercury-e", "mercury-s", "mercury-web"]


@needs_systemd
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_systemd_understands_every_line(path: Path, tmp_path: Path) -> None:
    """An unknown key is only a warning with exit code 0, so any output is a failure. The program is not installed here."""
    text, count = re.subn(r"^ExecStart=.*$", "ExecStart=/bin/true", path.read_text(), flags=re.MULTILINE)
    assert count == 1
    for other in [FOLDER / "mercury.target", *SOCKETS]:
        shutil.copy(other, tmp_path)
    unit = tmp_path / path.name
    unit.write_text(text)
    done = run("systemd-analyze", "--man=no", "verify", unit, *(SOCKETS if path.stem == "mercury-s" else []))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_a_misspelt_key_would_be_seen(tmp_path: Path) -> None:
    unit = tmp_path / "x.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nWatchdogSek=3\n")
    assert "WatchdogSek" in run("systemd-analyze", "--man=no", "verify", unit).stderr


@needs_systemd
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_the_sandbox_is_closed(path: Path) -> None:
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={HIGHEST_EXPOSURE * 10:.0f}", path)
    exposure = re.search(r"Overall exposure level for \S+: (\S+)", done.stdout)
    assert exposure and done.returncode == 0, done.stdout[-200:] + done.stderr
    assert float(exposure[1]) <= HIGHEST_EXPOSURE


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_what_the_daemons_rely_on(path: Path) -> None:
    settings = dict(line.split("=", 1) for line in path.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))
    assert settings["Type"] == "notify"
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert settings["Restart"] == "on-failure"
    assert int(settings["WatchdogSec"]) > 0
    # TLS callbacks are made at run time; with this on, the first handshake kills the daemon.
    assert "MemoryDenyWriteExecute" not in settings
    # An account of its own, which is given its secrets, and no others.
    assert settings["User"] == settings["Group"] == path.stem
    if path.stem != "mercury-web":
        assert settings["LoadCredential"] == f"{path.stem}:/etc/mercury/secrets/{path.stem}"
    # systemd gives these folders to whoever starts last, and three share them.
    assert not {"StateDirectory", "RuntimeDirectory", "DynamicUser"} & set(settings)
    # The kernel does not let go of a capability that is nowhere named.
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == ""


@pytest.mark.parametrize("path", SOCKETS, ids=lambda path: path.stem)
def test_a_socket_is_found_by_the_listener_of_its_port(path: Path) -> None:
    lines = path.read_text().splitlines()
    port = int(path.stem.rpartition("-")[2])
    assert [line for line in lines if line.startswith("ListenStream=")] == [
        f"ListenStream=0.0.0.0:{port}",
        f"ListenStream=[::]:{port}",
    ]
    assert f"FileDescriptorName={socket_name('', port)}" in lines and path.stem == socket_name("", port)
    assert "Service=mercury-s.service" in lines


@pytest.mark.parametrize(
    ("address", "name"), [("127.0.0.1", "mercury-s-127.0.0.1-25"), ("::1", "mercury-s-..1-25"), ("", "mercury-s-25")]
)
def test_no_colon_in_the_name_of_a_descriptor(address: str, name: str) -> None:
    assert socket_name(address, 25) == name


def test_the_page_can_write_neither_mail_nor_configuration() -> None:
    text = (FOLDER / "mercury-web.service").read_text()
    written = re.findall(r"(?m)^ReadWritePaths=(.*)$", text)
    assert written == ["-/var/lib/mercury/events -/var/lib/mercury/history -/run/mercury"]
    assert "ProtectSystem=strict" in text and "IPAddressDeny=any" in text and "LoadCredential" not in text
    assert "/etc/mercury/secrets" in text.partition("InaccessiblePaths=")[2].partition("\n")[0]
