"""`mailq`, `sendmail -bp`: the queue in the form that people and scripts know. `mercury queue list` says more."""

from __future__ import annotations

import socket
import time
from typing import BinaryIO

from shared.admin.sendmail import EX_NOPERM, EX_OK, Stop
from shared.config.model import Config
from shared.mail.reply import printable
from shared.spool.queue_entry import QueueEntry, list_entries
from shared.spool.spool import Spool

_HEAD = "-Queue ID- --Size-- ----Arrival Time---- -Sender/Recipient-------"


def print_queue(config: Config, out: BinaryIO) -> int:
    """Raises Stop."""
    try:
        entries = list(list_entries(Spool(config.spool, socket.gethostname())))
    except PermissionError as error:
        raise Stop(EX_NOPERM, "only root and the account of the daemons may see the queue") from error
    out.write(render_queue(entries).encode("utf-8", "replace"))
    out.flush()
    return EX_OK


def render_queue(entries: list[QueueEntry]) -> str:
    """A mark behind the id: * is being delivered, ! is held."""
    if not entries:
        return "Mail queue is empty\n"
    lines = [_HEAD]
    for entry in entries:
        mark = {"active": "*", "held": "!"}.get(entry.state, " ")
        arrival = time.strftime("%a %b %d %H:%M:%S", time.localtime(entry.arrived))
        lines.append(
            f"{entry.id:<9}{mark} {entry.size:>8} {arrival:<20} {printable(entry.sender) or 'MAILER-DAEMON'}"
        )
        if entry.last_error:
            lines.append(f"{'':>20}({printable(entry.last_error)})")
        lines += [f"{'':>41} {printable(recipient)}" for recipient in entry.recipients]
        lines.append("")
    octets = sum(entry.size for entry in entries)
    noun = "Request" if len(entries) == 1 else "Requests"
    lines.append(f"-- {octets // 1024} Kbytes in {len(entries)} {noun}.")
    return "\n".join(lines) + "\n"
