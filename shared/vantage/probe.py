"""Knocking: does a mail host answer on its port, does a smarthost take connections?

A knock is a connection and the first line of a greeting, then QUIT: nothing is given to anybody. What the answers
mean is said by those who ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

from shared.dns.answers import Answer, Found
from shared.mail.reply import printable
from shared.routing.next_hop import NextHop
from shared.vantage.knock import Finding, Knock

_LONGEST_GREETING = 1024
_FAREWELL = 1.0
#  Where the DNS names the port, one of these.
_SUBMISSION = (587, 465)


class Addresses(Protocol):
    async def addresses(self, host: str) -> Answer[tuple[str, ...]]: ...


class Probe:
    """`port` where an endpoint names none; `timeout` in seconds for one host."""

    def __init__(self, resolver: Addresses, port: int, timeout: float) -> None:
        self._resolver = resolver
        self._port = port
        self._timeout = timeout

    async def knock_at(self, endpoints: Sequence[str]) -> tuple[Knock, ...]:
        """At all of them at the same time."""
        return tuple(await asyncio.gather(*map(self._knock, endpoints)))

    async def takes_connections(self, hops: Sequence[NextHop]) -> bool:
        """Whether one of them does; whatever it says then."""
        found = await asyncio.gather(*(self._connects(hop) for hop in hops))
        return any(found)

    async def _knock(self, endpoint: str) -> Knock:
        host, port = split_endpoint(endpoint, self._port)
        addresses = _one_of_each(await _addresses(self._resolver, host))
        if not addresses:
            return Knock(endpoint, Finding.NO_ADDRESS)
        results = await asyncio.gather(*(self._greeting(address, port) for address in addresses))
        finding, detail = next((result for result in results if result[0] is Finding.ANSWERS), results[0])
        return Knock(endpoint, finding, detail)

    async def _greeting(self, address: str, port: int) -> tuple[Finding, str]:
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(address, port, limit=_LONGEST_GREETING)
                try:
                    line = await _first_line(reader)
                    with contextlib.suppress(OSError):
                        writer.write(b"QUIT\r\n")
                finally:
                    await _close(writer)
        except TimeoutError:
            return Finding.SILENT, address
        except OSError as error:
            return _finding_of(error), f"{address}: {os.strerror(error.errno) if error.errno else error}"
        if len(line) >= 3 and line[:3].isdigit():
            return Finding.ANSWERS, f"{address}: {printable(line.decode('latin-1').rstrip())[:80]}"
        return Finding.MUTE, address

    async def _connects(self, hop: NextHop) -> bool:
        if hop.socket_path:
            return False
        addresses = _one_of_each(hop.addresses or await _addresses(self._resolver, hop.host))
        ports = _SUBMISSION if hop.discover else (hop.port,)
        found = await asyncio.gather(*(self._opens(address, port) for address in addresses for port in ports))
        return any(found)

    async def _opens(self, address: str, port: int) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                _, writer = await asyncio.open_connection(address, port)
        except (OSError, TimeoutError):
            return False
        await _close(writer)
        return True


def split_endpoint(endpoint: str, port: int) -> tuple[str, int]:
    """`host`, `host:port` or `[address]:port`, as shared/config/scalars.parse_endpoint leaves them."""
    if endpoint.startswith("["):
        host, _, tail = endpoint[1:].partition("]")
        return host, int(tail[1:]) if tail else port
    host, _, tail = endpoint.partition(":")
    return host, int(tail) if tail else port


async def _addresses(resolver: Addresses, host: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        pass
    answer = await resolver.addresses(host)
    return answer.values if isinstance(answer, Found) else ()


def _one_of_each(addresses: Sequence[str]) -> list[str]:
    """One of each family is enough to see whether a port is open."""
    four = [address for address in addresses if ":" not in address]
    six = [address for address in addresses if ":" in address]
    return four[:1] + six[:1]


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        return b""  #  longer than any greeting


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_FAREWELL):
            await writer.wait_closed()


def _finding_of(error: OSError) -> Finding:
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return Finding.REFUSED
    return Finding.NO_WAY
