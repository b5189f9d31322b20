"""One site under test: its folder, its configuration file, its three daemons as real processes.

Everything of it lies below one folder and listens on 127.0.0.1; what the far end is stands in peers.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from process import Process, free_port

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = {"s": "mercury_s", "c": "mercury_c", "e": "mercury_e", "w": "shared.web"}
DOMAIN = "hq.example"
NOBODY = ("127.0.0.1", 9)  #  a smarthost where no one answers


class Site:
    """`config` is the YAML document as a dict; change it and call `write_config` (then `reload`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port("127.0.0.1")
        self.config_path = root / "mercury.yaml"
        self.config: dict[str, Any] = {
            "hostname": f"mail.{DOMAIN}",
            "site": "hq",
            "spool": str(root / "spool"),
            "state": str(root / "state"),
            "run": str(root / "run"),
            "local": {
                "domains": [DOMAIN],
                "maildir": str(root / "mail") + "/{domain}/{user}",
                "users": "users.yaml",
                "aliases": "aliases",
            },
            "receive": {
                "listeners": [{"port": self.port, "address": "127.0.0.1", "kind": "mx"}],
                "max_message_size": "50M",
            },
            "sites": {"hq": {"networks": ["127.0.0.1/32"], "delivery": "relay"}},
            "retry": {"first": "1s", "factor": 1, "longest": "2s", "lifetime": "1h", "bounce_lifetime": "1h"},
            "dns": {"servers": ["127.0.0.1:9"]},
        }
        self.relay_to(NOBODY)
        (root / "aliases").write_text("postmaster: anna\n")
        self.daemons: dict[str, Process] = {}

    @property
    def here(self) -> dict[str, Any]:
        """The configuration of the one site this host is in."""
        site: dict[str, Any] = self.config["sites"]["hq"]
        return site

    def relay_to(self, *peers: tuple[str, int]) -> None:
        self.here["smarthosts"] = [{"host": host, "port": port, "tls": "off"} for host, port in peers]

    def write_config(self) -> None:
        part = self.config_path.with_suffix(".part")
        part.write_text(yaml.safe_dump(self.config, sort_keys=False))
        os.rename(part, self.config_path)

    # The command line

    def mercury(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "shared.admin", "--config", str(self.config_path), *arguments],
            input=given,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )

    def add_users(self, *names: str, password: str = "correct horse") -> None:
        def add(name: str) -> None:
            address = name if "@" in name else f"{name}@{DOMAIN}"
            done = self.mercury("user", "add", address, "--password-stdin", given=password + "\n")
            assert done.returncode == 0, done.stdout + done.stderr

        with ThreadPoolExecutor() as together:
            list(together.map(add, names))

    # The daemons

    def command(self, letter: str) -> list[str]:
        return [sys.executable, "-m", DAEMONS[letter], "--config", str(self.config_path)]

    def start(self, letters: str = "sce", limit: Callable[[], None] | None = None) -> None:
        for letter in letters:
            log = self.root / "log" / f"{DAEMONS[letter]}.log"
            process = Process(DAEMONS[letter], self.command(letter), log, {"PYTHONPATH": str(ROOT)})
            self.daemons.setdefault(letter, process)
        with ThreadPoolExecutor() as together:
            list(together.map(lambda letter: self.daemons[letter].start_notified(limit=limit), letters))

    def run_to_its_end(self, letter: str, seconds: float = 20) -> tuple[int, str]:
        """Start a daemon that is expected to refuse: its exit code and what it said on standard error."""
        done = subprocess.run(
            self.command(letter), capture_output=True, text=True, cwd=ROOT, timeout=seconds, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stderr

    def kill(self, letters: str) -> None:
        for letter in letters:
            self.daemons[letter].kill()

    def stop(self, letters: str = "scew") -> None:
        """SIGTERM to each; all must exit with 0."""
        running = [self.daemons[letter] for letter in letters if letter in self.daemons]
        codes = {daemon.name: daemon.stop() for daemon in running if daemon.is_running}
        assert all(code == 0 for code in codes.values()), f"{codes}\n{self.recent_logs()}"

    def logs(self) -> str:
        return "\n".join(f"==> {d.name}\n{d.output()}" for d in self.daemons.values())

    def recent_logs(self) -> str:
        """For a person who reads of a failure."""
        return "\n".join(f"==> {d.name}\n{d.output()[-6000:]}" for d in self.daemons.values())

    # What there is on disk

    def mailbox(self, user: str, domain: str = DOMAIN) -> list[bytes]:
        """The messages in a user's Maildir, oldest first."""
        folder = self.root / "mail" / domain / user / "new"
        return [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []

    def entries(self, lane: str) -> list[Path]:
        """The entries of a lane, claimed or not."""
        folder = self.root / "spool" / f".{lane}"
        return [path for part in ("new", "cur") for path in folder.glob(f"{part}/*")]

    def is_empty(self) -> bool:
        return not any(self.entries(lane) for lane in ("local", "relay", "direct", "hold"))

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What the daemons have logged as JSON lines, or only the events called `name`."""
        lines = [
            line for file in sorted((self.root / "state" / "events").glob("*.jsonl")) for line in file.open("rb")
        ]
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in found if not name or event.get("event") == name]
