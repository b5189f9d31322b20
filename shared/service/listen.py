"""Listening sockets: those the service manager opened for us (sd_listen_fds(3)), else our own.

A socket here is bound, listening and non-blocking; `adopt` gives it to the reactor. Who may connect, and what is
spoken, is not known here.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import MutableMapping
from typing import Any

from shared.service.trouble import StartTrouble

FIRST_DESCRIPTOR = 3
BACKLOG = 1024


class InheritedSockets:
    """Descriptors by the name that FileDescriptorName= gave them, or by the port they are bound to."""

    def __init__(self, named: list[tuple[str, socket.socket]]) -> None:
        self._named = named

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str], pid: int) -> InheritedSockets:
        """Takes the variables out of `environ`, so that no child process believes they are meant for it.

        Importing twisted.internet.endpoints removes LISTEN_PID and LISTEN_FDS but leaves LISTEN_FDNAMES, which has
        one name for each descriptor; so the names alone are enough, whoever was imported before.
        """
        names = environ.pop("LISTEN_FDNAMES", "")
        count = environ.pop("LISTEN_FDS", "")
        if environ.pop("LISTEN_PID", str(pid)) != str(pid):
            return cls([])
        number = int(count) if count.isdigit() else (names.count(":") + 1 if names else 0)
        all_names = (names.split(":") + [""] * number)[:number]
        return cls([(name, _take(FIRST_DESCRIPTOR + index)) for index, name in enumerate(all_names)])

    def take(self, name: str, port: int, address: str = "") -> list[socket.socket]:
        """Those of this name, and those bound to `port` (at `address`, if one is given); each is given out once."""
        mine = [
            (known, sock)
            for known, sock in self._named
            if known == name or (_port_of(sock) == port and address in ("", sock.getsockname()[0]))
        ]
        self._named = [pair for pair in self._named if pair not in mine]
        return [sock for _, sock in mine]

    def close_left(self) -> list[str]:
        """Close those that nobody took, of a socket unit without a listener in the configuration; their names."""
        left, self._named = self._named, []
        for _, sock in left:
            sock.close()
        return [name for name, _ in left]


def socket_name(address: str, port: int) -> str:
    """What the socket unit of a listener is called, and its descriptors."""
    #  FileDescriptorName= may not hold a colon.
    return f"mercury-s-{address.replace(':', '.')}-{port}" if address else f"mercury-s-{port}"


def _take(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    #  The manager hands them over blocking: the loop would hang in its second accept().
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock


def _port_of(sock: socket.socket) -> int:
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else -1


def listening_sockets(address: str, port: int, inherited: InheritedSockets | None = None) -> list[socket.socket]:
    """The sockets of one listener: inherited ones if there are any, else newly bound. `address` empty means all.

    All is two sockets, IPv4 and IPv6, so that a client's address never looks like ::ffff:192.0.2.1. Port 0 picks a
    free one. Raises StartTrouble.
    """
    taken = inherited.take(socket_name(address, port), port, address) if inherited and port else []
    if taken:
        return taken
    if address:
        return [bind_socket(address, port)]
    first = bind_socket("0.0.0.0", port)
    try:
        return [first, bind_socket("::", _port_of(first))]
    except StartTrouble as trouble:
        if isinstance(trouble.__cause__, OSError) and trouble.__cause__.errno in _NO_IPV6:
            return [first]
        first.close()
        raise


_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


def bind_socket(address: str, port: int) -> socket.socket:
    """Raises StartTrouble, which names the port and says what to do."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _trouble(address, port, error) from error
    return sock


def _trouble(address: str, port: int, error: OSError) -> StartTrouble:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return StartTrouble(
            f"listen on {where}: the port is in use", f"see who has it with `ss -ltnp 'sport = :{port}'`, and stop it"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return StartTrouble(
            f"listen on {where}: permission denied",
            "run `mercury setup`, which makes its socket unit, or choose a port above 1023",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return StartTrouble(
            f"listen on {where}: this host has no such address", "see `ip address`, or leave the address out"
        )
    return StartTrouble(f"listen on {where}: {error.strerror}", "correct the listener in the configuration")


def adopt(reactor: Any, sock: socket.socket, factory: Any) -> Any:
    """Listen on `sock` with `factory`: the reactor takes a copy of the descriptor, ours is closed."""
    port = reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    sock.close()
    return port


def detach(sock: socket.socket) -> int:
    """The bare descriptor, for one who hands it to a child process."""
    descriptor = sock.detach()
    os.set_blocking(descriptor, False)
    return descriptor
