"""The far end, by others: aiosmtpd, Postfix's smtp-sink and smtp-source, nsd; and where their programs are found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from process import Process, answers

ROOT = Path(__file__).resolve().parents[2]
POSTFIX = ROOT / ".peers" / "postfix"
SINK_PROGRAM = ROOT / "tests" / "fakes" / "sinks.py"


def program(name: str) -> str:
    """The path of a peer's program. `make test` installs them; without it this says so."""
    places = [str(POSTFIX / "usr" / "sbin"), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    assert found, f"{name} is not installed: `make test` fetches the peers of the end-to-end tests"
    return found


def postfix_env() -> dict[str, str]:
    """Lets the unpacked, not installed, programs of Postfix find their libraries."""
    return {"LD_LIBRARY_PATH": str(POSTFIX / "usr" / "lib" / "postfix")}


@dataclass(frozen=True)
class Kept:
    """A message as a far end kept it."""

    content: bytes
    facts: dict[str, Any]


class FarEnd:
    """aiosmtpd on one port of one or several loopback addresses; see tests/fakes/sinks.py for whom it refuses."""

    def __init__(self, root: Path, port: int, addresses: Sequence[str] = ("127.0.0.1",), *options: str) -> None:
        self.port = port
        self.addresses = tuple(addresses)
        self.folder = root / f"far-{addresses[0]}-{port}"
        command = [sys.executable, str(SINK_PROGRAM), "--folder", str(self.folder), "--port", str(port), *options]
        for address in addresses:
            command += ["--address", address]
        self.process = Process("aiosmtpd", command, root / "log" / f"{self.folder.name}.log")

    @property
    def hop(self) -> tuple[str, int]:
        return self.addresses[0], self.port

    def start(self) -> FarEnd:
        self.process.start(lambda: answers(self.addresses[-1], self.port))
        return self

    def stop(self) -> None:
        self.process.kill()

    def count(self) -> int:
        return len(list(self.folder.glob("*.json"))) if self.folder.is_dir() else 0

    def kept(self) -> list[Kept]:
        names = sorted(self.folder.glob("*.json"))
        return [Kept(name.with_suffix(".eml").read_bytes(), json.loads(name.read_bytes())) for name in names]

    def find(self, token: str) -> list[Kept]:
        """The messages with `token` in them."""
        return [kept for kept in self.kept() if token.encode() in kept.content]


class SmtpSink:
    """Postfix's smtp-sink; it writes each message to a file of its own, LF line ends, its own fields first."""

    def __init__(self, root: Path, port: int, *options: str) -> None:
        address = "127.0.0.1"
        self.hop = (address, port)
        self.folder = root / f"smtp-sink-{port}"
        self.folder.mkdir()
        #  As root it insists on being told whom to become; nobody could not write below pytest's folder.
        user = ["-u", "root"] if os.getuid() == 0 else []
        command = [
            program("smtp-sink"),
            *user,
            *options,
            "-d",
            str(self.folder / "%s."),
            f"inet:{address}:{port}",
            "256",
        ]
        self.process = Process("smtp-sink", command, root / "log" / f"{self.folder.name}.log", postfix_env())

    def start(self) -> SmtpSink:
        self.process.start(lambda: answers(*self.hop))
        return self

    def stop(self) -> None:
        self.process.kill()

    def find(self, token: str) -> list[bytes]:
        return [data for path in self.folder.glob("*") if token.encode() in (data := path.read_bytes())]


def smtp_source(port: int, *options: str) -> None:
    """Postfix's load generator, here as one more independent client."""
    command = [program("smtp-source"), *options, f"inet:127.0.0.1:{port}"]
    done = subprocess.run(
        command, env={**os.environ, **postfix_env()}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and "fatal" not in done.stderr, done.stderr


class NameServer:
    """nsd on 127.0.0.1, authoritative for the zones that a test gives as zone-file text; one that begins with $ORIGIN is
    taken as it is."""

    def __init__(self, root: Path, port: int, zones: dict[str, str]) -> None:
        folder = root / "nsd"
        folder.mkdir()
        self.port = port
        lines = [
            "server:",
            f'  ip-address: "127.0.0.1@{port}"',
            '  username: ""\n  chroot: ""\n  database: ""',
            f'  zonesdir: "{folder}"\n  pidfile: "{folder}/pid"\n  zonelistfile: "{folder}/zonelist"',
            f'  xfrdfile: "{folder}/xfrd"\n  xfrdir: "{folder}"',
            "  server-count: 1\n  rrl-ratelimit: 0",
            "remote-control:\n  control-enable: no",
        ]
        for name, text in zones.items():
            head = f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 900 86400 60\n@ NS ns\nns A 127.0.0.1\n"
            (folder / f"{name}.zone").write_text(text if text.startswith("$ORIGIN") else head + text)
            lines.append(f'zone:\n  name: "{name}"\n  zonefile: "{folder}/{name}.zone"')
        (folder / "nsd.conf").write_text("\n".join(lines) + "\n")
        self.process = Process(
            "nsd", [program("nsd"), "-d", "-c", str(folder / "nsd.conf")], root / "log" / "nsd.log"
        )

    def start(self) -> NameServer:
        self.process.start(lambda: answers("127.0.0.1", self.port))
        return self

    def stop(self) -> None:
        self.process.kill()
