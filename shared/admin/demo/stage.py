"""The stage: a temporary folder with the configuration of a small office, and ports that are free.

Here: paths, ports, the text of mercury.yaml. Not here: what runs on it (players.py) or is sent (letters.py).
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shared.admin.demo.letters import MAILBOXES, OFFICE, PARTNER

HERE = "127.0.0.1"
#  An address of its own for the partner's MX: at 127.0.0.1 a name server would be pointing at ourselves.
FAR = "127.0.0.2"

CONFIG = """\
# The demonstration's configuration: one office, a smarthost for the world, and a partner reached end to end.
hostname: mail.{office}
site: office
spool: {folder}/spool
state: {folder}/state
run: {folder}/run
local:
  domains: [{office}]
  maildir: {folder}/mail/{{domain}}/{{user}}
  users: users.yaml
  aliases: aliases
receive:
  listeners:
    - {{port: {smtp}, address: {here}, kind: mx}}
sites:
  office:
    networks: [{here}/32]
    delivery: relay
    smarthosts:
      - {{host: {here}, port: {smarthost}, tls: off}}
routes:
  - {{to: [{partner}], deliver: direct}}
retry: {{first: 5s, factor: 2, longest: 1m, lifetime: 1h}}
dns: {{servers: ["{here}:{dns}"]}}
direct: {{port: {mx}, allow_addresses: [127.0.0.0/8]}}
"""


@dataclass(frozen=True)
class Ports:
    smtp: int
    smarthost: int
    mx: int
    dns: int


@dataclass(frozen=True)
class Stage:
    folder: Path
    ports: Ports

    @property
    def config(self) -> Path:
        return self.folder / "mercury.yaml"

    @property
    def local_mail(self) -> Path:
        return self.folder / "mail" / OFFICE

    @property
    def smarthost_mail(self) -> Path:
        return self.folder / "smarthost"

    @property
    def partner_mail(self) -> Path:
        return self.folder / "partner"

    @property
    def events(self) -> Path:
        return self.folder / "state" / "events"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def log(self, daemon: str) -> Path:
        return self.folder / f"{daemon}.log"

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def set_stage() -> Stage:
    """A new folder with everything the daemons read."""
    ports = Ports(free_port(2525, HERE), free_port(2587, HERE), free_port(2526, FAR), free_port(5353, HERE))
    stage = Stage(Path(tempfile.mkdtemp(prefix="mercury-demo-")), ports)
    stage.config.write_text(
        CONFIG.format(
            office=OFFICE, partner=PARTNER, folder=stage.folder, here=HERE,
            smtp=ports.smtp, smarthost=ports.smarthost, mx=ports.mx, dns=ports.dns,
        )
    )  # fmt: skip
    users = "".join(f"{name}@{OFFICE}: {{}}\n" for name in MAILBOXES)
    (stage.folder / "users.yaml").write_text(users)
    (stage.folder / "aliases").write_text(f"postmaster: {MAILBOXES[0]}\n")
    return stage


def free_port(wanted: int, address: str) -> int:
    """`wanted` if it is free at `address` for TCP and UDP, else one that is. Raises OSError when none is near."""
    near = range(wanted + 10000, wanted + 10100)
    for port in itertools.chain([wanted], near):
        if is_free(port, address):
            return port
    raise OSError(f"no free port near {wanted} at {address}")


def is_free(port: int, address: str) -> bool:
    stream, datagram = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError), stream, datagram:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((address, port))
        datagram.bind((address, port))
        return True
    return False
