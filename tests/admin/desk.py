"""The desk of an operator: a spool with entries in it, its configuration, and `mercury` as a function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from shared.admin.command import mercury
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.lane import Lane
from shared.spool.names import EntryName, claimed_name
from shared.spool.record import render_record
from shared.spool.spool import Spool
from shared.spool.trail import Trail, TrailRecord

ARRIVED = 1_790_000_000.5
CONFIG = """
hostname: mail.hq.example
site: hq
spool: spool
state: state
run: run
local: {domains: [hq.example], maildir: "mail/{domain}/{user}"}
sites:
  hq:
    networks: [192.168.1.0/24]
    delivery: relay
    smarthosts: [{host: smtp.isp.example, port: 587}]
  branch: {networks: [192.168.2.0/24], delivery: direct}
routes:
  - {to: [partner.example], deliver: direct, tls: verify}
  - {to: ["*.held.example"], deliver: hold}
"""


@dataclass
class Desk:
    """`run` is the command line; `put` makes an entry and says its id."""

    root: Path
    spool: Spool

    def run(self, *arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(mercury, ["--config", str(self.root / "mercury.yaml"), *arguments], input=given)

    def put(
        self,
        queue_id: str,
        lane: Lane = Lane.RELAY,
        to: tuple[str, ...] = ("joe@branch.example",),
        sender: str | None = "anna@hq.example",
        due: float = ARRIVED,
        owner: str = "",
        message: bytes = b"Subject: x\r\n\r\nbody\r\n",
    ) -> str:
        envelope = Envelope(
            id=queue_id,
            sender=parse_address(sender) if sender else None,
            recipients=tuple(Recipient(parse_address(address)) for address in to),
            arrived=ARRIVED,
            site="hq",
            client="192.168.1.7 pc7",
        )
        data = render_record(envelope) + message
        name = str(EntryName(int(ARRIVED), queue_id, "mail.hq.example", len(data)))
        folder = self.spool.folder(lane)
        path = folder / "cur" / claimed_name(name, owner) if owner else folder / "new" / name
        path.write_bytes(data)
        os.utime(path, (due, due))
        return name

    def deferred(self, name: str, lane: Lane, *reasons: str, recipient: str = "joe@branch.example") -> None:
        records = [
            TrailRecord(ARRIVED + 60 * n, "mercury-c", "deferred", recipient, reason, "smtp.isp.example:587")
            for n, reason in enumerate(reasons, 1)
        ]
        Trail(f"{self.spool.folder(lane)}/trail/{name}").append(records, durable=False)

    def names(self, lane: Lane) -> list[str]:
        return sorted(path.name for path in (self.spool.folder(lane) / "new").iterdir())
