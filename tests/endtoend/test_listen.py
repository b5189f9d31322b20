"""Listening sockets for several workers: evenly used, none lost, and a port that somebody has is still said to be."""

from __future__ import annotations

import select
import socket

import pytest
from process import free_port

from shared.service.listen import bind_socket, copies_of
from shared.service.trouble import StartTrouble


def test_clients_are_spread_over_copies_and_wait_at_one_that_nobody_serves() -> None:
    port = free_port("127.0.0.1")
    copies = copies_of(bind_socket("127.0.0.1", port), 2)
    clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
    taken = [0, 0]
    for number, sock in enumerate(copies):
        while select.select([sock], [], [], 0.05)[0]:
            connection, _ = sock.accept()
            connection.close()
            taken[number] += 1
    assert sum(taken) == 100 and min(taken) > 10
    for sock in (*clients, *copies):
        sock.close()


def test_a_port_that_somebody_has_is_refused_though_copies_could_share_it() -> None:
    port = free_port("127.0.0.1")
    copies = copies_of(bind_socket("127.0.0.1", port), 2)
    with pytest.raises(StartTrouble, match="in use"):
        bind_socket("127.0.0.1", port)
    for sock in copies:
        sock.close()
