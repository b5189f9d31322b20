"""Names that are answered without asking anybody: localhost (RFC 6761 §6.3), hosts(5), IP addresses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from shared.dns.names import literal_address
from shared.dns.system_file import SystemFile

HOSTS_FILE = "/etc/hosts"
_LOCALHOST = ("::1", "127.0.0.1")


def parse_hosts(lines: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Name in lower case → its addresses, in the order of the file."""
    names: dict[str, list[str]] = {}
    for line in lines:
        words = line.partition("#")[0].split()
        address = literal_address(words[0]) if words else None
        if address is None:
            continue
        for name in words[1:]:
            known = names.setdefault(name.lower().rstrip("."), [])
            if address not in known:
                known.append(address)
    return {name: tuple(addresses) for name, addresses in names.items()}


class HostsFile:
    """hosts(5), read again when it changes."""

    def __init__(self, path: str | os.PathLike[str] = HOSTS_FILE) -> None:
        nothing: Mapping[str, tuple[str, ...]] = {}
        self._file = SystemFile(path, parse_hosts, nothing)
        self._names: Mapping[str, tuple[str, ...]] = {}

    def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses known here for `host` (any case, with or without a last dot), or none."""
        literal = literal_address(host)
        if literal is not None:
            return (literal,)
        host = host.lower().rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            # Never what a hosts file or a server says: programs trust this name to mean this host.
            return _LOCALHOST
        if (news := self._file.news()) is not None:
            self._names = news
        return self._names.get(host, ())
