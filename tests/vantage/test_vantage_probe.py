"""Knocking on loopback: each way a host can answer, or not, has its finding."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from shared.dns.answers import Answer, Found, NoSuchName
from shared.routing.next_hop import NextHop
from shared.vantage.knock import Finding, Knock
from shared.vantage.probe import Probe, split_endpoint


class Names:
    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        return Found(("127.0.0.1",), 60.0) if host == "here.example" else NoSuchName()


def serve(words: bytes, ask: Callable[[Probe, int], Awaitable[object]]) -> object:
    """`ask` with a server that says `words`, then reads until the client goes."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read(100)
        writer.close()

    async def main() -> object:
        server = await asyncio.start_server(client, "127.0.0.1", 0)
        async with server:
            return await ask(Probe(Names(), 1, 0.3), server.sockets[0].getsockname()[1])

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (b"220 mx.example ESMTP\r\n", Finding.ANSWERS),
        (b"554 we do not like you\r\n", Finding.ANSWERS),
        (b"SSH-2.0-OpenSSH\r\n", Finding.MUTE),
        (b"x" * 5000, Finding.MUTE),
        (b"", Finding.SILENT),
    ],
)
def test_what_a_host_says(words: bytes, finding: Finding) -> None:
    [knock] = serve(words, lambda probe, port: probe.knock_at([f"here.example:{port}"]))  # type: ignore[misc]
    assert knock.finding is finding


def test_nobody_listens_and_nobody_is_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        knocks = asyncio.run(Probe(Names(), port, 5).knock_at(["127.0.0.1", "nowhere.example"]))
    assert [knock.finding for knock in knocks] == [Finding.REFUSED, Finding.NO_ADDRESS]


def test_an_escape_sequence_in_a_greeting_is_harmless() -> None:
    [knock] = serve(b"220 \x1b[2J\r\n", lambda probe, port: probe.knock_at([f"127.0.0.1:{port}"]))  # type: ignore[misc]
    assert isinstance(knock, Knock) and "\x1b" not in knock.detail


def test_a_smarthost_need_only_take_the_connection() -> None:
    async def ask(probe: Probe, port: int) -> tuple[bool, bool]:
        dead = NextHop("127.0.0.1", 1)
        return await probe.takes_connections([dead, NextHop("here.example", port)]), await probe.takes_connections(
            [dead]
        )

    assert serve(b"", ask) == (True, False)


def test_endpoints() -> None:
    assert split_endpoint("mx.example", 25) == ("mx.example", 25)
    assert split_endpoint("mx.example:2525", 25) == ("mx.example", 2525)
    assert split_endpoint("[2001:db8::1]", 25) == ("2001:db8::1", 25)
    assert split_endpoint("[2001:db8::1]:26", 25) == ("2001:db8::1", 26)
