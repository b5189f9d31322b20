"""Containerfile and Compose file, as far as they can be looked at without an engine: what they name is there."""

from __future__ import annotations

import configparser
import re
from fnmatch import fnmatch

import yaml
from packages.building import ROOT

COMPOSE = yaml.safe_load((ROOT / "package/compose.yaml").read_text())
LINES = re.sub(r"\\\n\s*", "", (ROOT / "package/Containerfile").read_text()).splitlines()


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_each_service_is_a_daemon_of_ours() -> None:
    scripts = settings()["options.entry_points"]["console_scripts"]
    commands = {name.split("=")[0].strip() for name in scripts.splitlines() if name}
    assert set(COMPOSE["services"]) == {"mercury-s", "mercury-c", "mercury-e"} <= commands
    for name, service in COMPOSE["services"].items():
        assert service["command"] == [name, "--config", "/etc/mercury/mercury.yaml"]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]


def test_only_who_needs_it_has_it() -> None:
    places = {name: " ".join(service["volumes"]) for name, service in COMPOSE["services"].items()}
    assert [name for name, text in places.items() if "/run/secrets" in text] == ["mercury-c"]
    assert [name for name, text in places.items() if "/var/mail/mercury" in text] == ["mercury-s"]
    for text in places.values():
        assert "spool:/var/spool/mercury" in text and "./config:/etc/mercury:ro" in text


def test_volumes_are_declared_and_folders_of_the_image() -> None:
    folders = " ".join(line for line in LINES if "install -d" in line)
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            name, path = volume.split(":")[:2]
            if not name.startswith("."):
                assert name in COMPOSE["volumes"] and path in folders


def test_what_is_copied_in_is_let_through() -> None:
    """.dockerignore shuts out everything but what the wheel is built of."""
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in (
        "package/runtime.txt",
        "package/tools.txt",
        "setup.cfg",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "etc/mercury.yaml",
    ):
        assert any(name == one or name.startswith(f"{one}/") for one in let_in), name
        assert (ROOT / name).exists()
    includes = settings()["options.packages.find"]["include"].split()
    for pattern in includes:
        assert any(fnmatch(one, pattern) for one in let_in), pattern
    assert all((ROOT / one).exists() for one in let_in)


def test_nothing_is_installed_but_by_its_hash() -> None:
    for command in " && ".join(LINES).split("&&"):
        if "pip install" in command:
            assert "--require-hashes" in command or "--no-deps /wheel" in command, command
    for name in ("runtime.txt", "tools.txt"):
        pins = re.sub(r"\\\n\s*", "", (ROOT / "package" / name).read_text()).splitlines()
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins if pin and not pin.startswith("#"))


def test_what_is_fixed_is_what_setup_asks_for() -> None:
    fixed = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "package/runtime.txt").read_text()))
    for wanted in settings()["options"]["install_requires"].split():
        name, _, least = wanted.partition(">=")
        name = re.sub(r"\[.*\]|[<>=!~;].*", "", name).lower().replace("_", "-")
        assert name in fixed, f"{name}: make constraints"
        if least:
            least = least.split(",")[0]
            assert [int(part) for part in fixed[name].split(".")] >= [int(part) for part in least.split(".")], (
                f"{name}: make constraints"
            )
