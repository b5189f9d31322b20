"""Which program has a port that a listener wants, by what `ss` says. Not here: opening ports (systemd does it)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

#  A name that says nothing.
_SERVERS = {"master": "Postfix (master)"}
#  Their listeners are ours: systemd holds them for MercuryS, which has them open, too.
_OURS = {"systemd", "mercury-s"}
_EVERYWHERE = {"0.0.0.0", "[::]", "*"}


def taken_port(listeners: Iterable[tuple[str, int]], said: str) -> str:
    """The first listener (address, or "" for all; port) that another program is in the way of, in words; or empty.

    `said` is what `ss -Hltnp` says.
    """
    taken = list(_listening(said))
    for address, port in listeners:
        wanted = f"[{address}]" if ":" in address else address
        for there, number, programs in taken:
            is_in_the_way = number == port and (not wanted or there in _EVERYWHERE or there == wanted)
            if is_in_the_way and not programs & _OURS:
                names = sorted(_SERVERS.get(name, name) for name in programs)
                return f"port {port} is taken by {' and '.join(names) or 'another program'}"
    return ""


def listening() -> str:
    """What `ss` says; nothing where there is none."""
    try:
        return subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _listening(said: str) -> Iterable[tuple[str, int, set[str]]]:
    for line in said.splitlines():
        words = line.split()
        if len(words) >= 5 and words[0] == "LISTEN":
            address, _, port = words[3].rpartition(":")
            if port.isdigit():
                yield address.partition("%")[0], int(port), set(re.findall(r'\("([^"]+)",pid=', line))
