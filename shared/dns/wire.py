"""One query to one name server: UDP, and TCP when the answer was cut (RFC 1035 §4.2, RFC 7766).

Here: sockets, by dnspython on the asyncio loop. Not here: time-outs, other servers, the sense of it (exchange.py).
"""

from __future__ import annotations

import socket

import dns.asyncbackend
import dns.asyncquery
import dns.inet
import dns.message

from shared.dns.servers import Server


async def carry(query: dns.message.Message, server: Server) -> dns.message.Message:
    """The reply to `query`. Raises OSError, EOFError or DNSException; waits for ever if nothing comes."""
    backend = dns.asyncbackend.get_backend("asyncio")
    # Connected, so that the kernel drops what others send, and a server that is not there is noticed at once; a
    # socket for each query, so that its port is a second secret beside the id (RFC 5452 §9).
    connection = await backend.make_socket(  # type: ignore[no-untyped-call]
        dns.inet.af_for_address(server.address), socket.SOCK_DGRAM, destination=(server.address, server.port)
    )
    try:
        async with connection:
            return await dns.asyncquery.udp(
                query,
                server.address,
                port=server.port,
                sock=connection,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
            )
    except dns.message.Truncated:
        return await dns.asyncquery.tcp(query, server.address, port=server.port, backend=backend)
