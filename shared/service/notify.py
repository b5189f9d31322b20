"""What a daemon tells the service manager (sd_notify(3)): ready, reloading, stopping, a status line, still alive.

Datagrams to the socket in NOTIFY_SOCKET; without one everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping


class ServiceManager:
    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        #  A name that begins with @ is abstract: the kernel wants a NUL in its place.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog
        self._status = ""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str], pid: int) -> ServiceManager:
        """Takes the variables out of `environ`, so that no child process speaks in our name."""
        address = environ.pop("NOTIFY_SOCKET", "")
        interval = environ.pop("WATCHDOG_USEC", "")
        wanted = environ.pop("WATCHDOG_PID", str(pid)) == str(pid)
        seconds = int(interval) / 1e6 if interval.isdigit() and int(interval) and wanted else None
        return cls(address, seconds)

    def ready(self, status: str) -> None:
        self._status = status
        self._send(f"READY=1\nSTATUS={one_line(status)}")

    def reloading(self) -> None:
        """The manager takes the reload for finished when it hears ready() again; it insists on the time stamp."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self._send(f"STATUS={one_line(text)}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            try:
                channel.sendto(text.encode(), os.fsencode(self._address))
            except OSError:
                pass  # the manager is gone or busy; it asks by its own time-outs, and mail matters more


def one_line(text: str) -> str:
    return " ".join(text.split())
