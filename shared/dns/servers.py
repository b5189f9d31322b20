"""The name servers to ask: an address and a port each, from the configuration or from resolv.conf(5).

Here: their spelling, and which of them is asked first. Not here: the asking (exchange.py).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shared.dns.system_file import SystemFile

RESOLV_CONF = "/etc/resolv.conf"
_PORT = 53


class Server(NamedTuple):
    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nobody between it and us can change what it says."""
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def parse_server(text: str) -> Server:
    """`127.0.0.1`, `127.0.0.1:5353`, `::1`, `[::1]` or `[::1]:5353`. Raises ValueError, worded for the operator."""
    address, port = text, ""
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is no name server: write an IPv6 address with a port as [::1]:53")
        port = port[1:] if port else str(_PORT)
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        port = str(_PORT)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{text!r} is no name server: give its IP address, with :port if it is not 53") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} is no name server: the port must be a number from 1 to 65535")
    return Server(address, int(port))


def parse_resolv_conf(lines: Iterable[str]) -> tuple[Server, ...]:
    """The `nameserver` lines; those that hold no address are passed over, as the C library does."""
    servers = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                servers.append(Server(ipaddress.ip_address(words[1]).compressed, _PORT))
            except ValueError:
                continue
    return tuple(servers)


class ServerList:
    """The servers in the order to ask them. One that did not answer goes to the end of the line.

    Without configured servers the list follows resolv.conf, which changes when the host moves to another network.
    """

    def __init__(self, servers: Sequence[str] = (), resolv_conf: str | os.PathLike[str] = RESOLV_CONF) -> None:
        self._configured = bool([text for text in servers if text])
        self._servers = tuple(parse_server(text) for text in servers if text)
        self._file: SystemFile[tuple[Server, ...]] = SystemFile(resolv_conf, parse_resolv_conf, ())

    def current(self) -> tuple[Server, ...]:
        if not self._configured and (news := self._file.news()) is not None:
            # resolv.conf(5): without an entry, the name server on this host is meant.
            self._servers = news or (Server("127.0.0.1", _PORT),)
        return self._servers

    def demote(self, server: Server) -> None:
        """Ask this one last: it let a question run into the time-out."""
        if server in self._servers and len(self._servers) > 1:
            self._servers = (*(other for other in self._servers if other != server), server)
