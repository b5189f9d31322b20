"""Mail through a machine: clients that send while something is done to it, a smarthost that keeps what it gets, and whether
everything acknowledged came there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from booted.machine import Machine
from endtoend.deadline import eventually

PASSWORD = "Wachtmeister-7"
CONFIG = """
hostname: mail.hq.example
local: {domains: [hq.example]}
receive: {listeners: [{port: 25}, {port: 587, kind: mx}], limits: {errors: 20}}
metrics: {listen: 127.0.0.1:9925}
web: {listen: "unix:/run/mercury/web.sock", operators: [anna@hq.example]}
site: hq
sites:
  hq:
    networks: [127.0.0.0/8]
    delivery: relay
    smarthosts:
      - {host: 127.0.0.1, port: 2500, tls: opportunistic, login: office, password_file: secrets/mercury-c/isp}
"""
KEPT = "/run/smarthost"


def make_certificate(folder: Path) -> None:
    """Of the smarthost, in smarthost.pem with its key."""
    file = str(folder / "smarthost.pem")
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=isp.example", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", *words, "-keyout", file, "-out", f"{file}.cert"],
        check=True,
        capture_output=True,
    )
    Path(file).write_text(Path(file).read_text() + Path(f"{file}.cert").read_text())


def start_smarthost(machine: Machine) -> None:
    machine.run("systemd-run", "--unit=smarthost", *machine.python("smarthost.py", "2500", KEPT, PASSWORD))
    eventually(lambda: "127.0.0.1:2500" in machine.say("ss", "-ltn"), 60, "the smarthost listens")


def stop_smarthost(machine: Machine) -> None:
    machine.run("systemctl", "stop", "smarthost")
    machine.run("systemctl", "reset-failed", "smarthost", check=False)


_known: dict[Machine, dict[str, str]] = {}


def kept(machine: Machine) -> list[str]:
    """The tokens of what the smarthost has; a file is read once."""
    known = _known.setdefault(machine, {})
    folder = machine.inside(KEPT)
    for name in os.listdir(folder) if folder.exists() else ():
        if not name.startswith(".") and name not in known:
            known[name] = "".join(re.findall(r"token-[0-9-]+-end", (folder / name).read_text())[:1])
    return list(known.values())


def waiting(machine: Machine) -> int:
    spool = machine.inside("/var/spool/mercury")
    return sum(1 for path in spool.glob(".*/*/*") if path.parent.name in ("new", "cur"))


@contextmanager
def customers(machine: Machine, port: int = 25) -> Iterator[dict[str, Any]]:
    """Mail keeps coming in while the block runs; then its outcome is in the dictionary."""
    command = machine.words(*machine.python("customers.py", str(port), "far@away.example", "6"))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    outcome: dict[str, Any] = {}
    try:
        yield outcome
        said, _ = process.communicate("", timeout=120)
        outcome.update(json.loads(said))
    finally:
        assert process.stdin is not None
        process.stdin.close()  #  the clients end by that; what is killed here is only who sent them in
        process.kill()
        process.wait()


def all_arrive(machine: Machine, tokens: list[str]) -> None:
    eventually(lambda: not set(tokens) - set(kept(machine)), 120, "everything acknowledged arrives")
    eventually(lambda: waiting(machine) == 0, 120, "the queue is empty")
