"""A worker's seat: what the daemon that started it hands over, and the link on which the two talk.

The link is a socket pair. Down come the configuration in force, at the start and at each reload, as a pickle in a
nameless file; up goes what a daemon tells a service manager (notify.py). When the link ends, so does the worker.
Who starts workers and keeps them going is crew.py.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Callable, MutableMapping
from typing import Any

from shared.config.model import Config
from shared.mail.record import dataclass
from shared.service.notify import ServiceManager

VARIABLE = "MERCURY_WORKER"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker works by. `extra` is between the daemon and its workers, and must survive pickling."""

    config: Config
    extra: Any = None


def send_orders(link: socket.socket, orders: Orders) -> None:
    """Raises OSError when the worker is gone, or has not read for long."""
    data = pickle.dumps(orders)
    descriptor = os.memfd_create("orders", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        socket.send_fds(link, [b"orders"], [descriptor])
    finally:
        os.close(descriptor)


def receive_orders(link: socket.socket) -> Orders | None:
    """None: the other end is gone. The pickle is as trustworthy as the program that started this one."""
    word, descriptors, _, _ = socket.recv_fds(link, 64, 1)
    if not word or not descriptors:
        return None
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        orders = pickle.load(file)
    assert isinstance(orders, Orders)
    return orders


class Upward(ServiceManager):
    """The daemon above, in the place of a service manager."""

    def __init__(self, link: socket.socket) -> None:
        super().__init__()
        self._link = link

    def trouble(self, reason: str) -> None:
        """Why this worker cannot start."""
        self._send(f"TROUBLE={reason}")

    def _send(self, text: str) -> None:
        try:
            self._link.send(text.encode()[:4000], socket.MSG_DONTWAIT)
        except OSError:
            pass  # it is gone, which we learn otherwise, or busy: what counts is said again


class Seat:
    """`number` counts from 1. `descriptors` are those that the daemon lent, in its order."""

    def __init__(self, number: int, link: socket.socket, descriptors: list[int]) -> None:
        self.number = number
        self.descriptors = descriptors
        self.link = link
        self.upward = Upward(link)
        orders = receive_orders(link)
        if orders is None:
            raise ConnectionError("the daemon that started this worker is gone")
        self.orders = orders

    @classmethod
    def take(cls, number: int, environ: MutableMapping[str, str]) -> Seat:
        """Raises ValueError when nobody prepared it: workers are not started by hand."""
        numbers = [int(word) for word in environ.pop(VARIABLE, "").split(",")]
        for descriptor in numbers:
            os.set_inheritable(descriptor, False)
        return cls(number, socket.socket(fileno=numbers[0]), numbers[1:])

    def attend(
        self, loop: asyncio.AbstractEventLoop, reload: Callable[[], object], end: Callable[[], object]
    ) -> None:
        """Listen to the daemon above: `reload` when there are new orders, `end` when it wants us gone or is gone."""
        self.link.setblocking(False)

        def look() -> None:
            try:
                orders = receive_orders(self.link)
            except BlockingIOError:
                return
            except OSError:
                orders = None
            if orders is not None:
                self.orders = orders
                reload()
            else:
                loop.remove_reader(self.link)
                end()

        loop.add_reader(self.link, look)
