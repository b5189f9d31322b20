"""One query to one name server: UDP, and TCP when the answer was cut (RFC 1035 §4.2, RFC 7766).

Here: sockets, and which datagrams are replies at all (RFC 5452 §9). Not here: time-outs, other servers, the sense of
a reply (exchange.py). dnspython writes and reads the messages; a datagram goes by the loop's own calls, since to make
an endpoint for each takes a third of the time of a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.message

from shared.dns.servers import Server


async def carry(query: dns.message.Message, server: Server) -> dns.message.Message:
    """The reply to `query`. Raises OSError, EOFError or DNSException; waits for ever if nothing comes."""
    try:
        return await _by_datagram(query, server)
    except dns.message.Truncated:
        backend = dns.asyncbackend.get_backend("asyncio")
        return await dns.asyncquery.tcp(query, server.address, port=server.port, backend=backend)


async def _by_datagram(query: dns.message.Message, server: Server) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    # A socket for each query, so that its port is a second secret beside the id; connected, so that the kernel drops
    # what others send, and a server that is not there is noticed at once.
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as connection:
        connection.setblocking(False)
        connection.connect((server.address, server.port))
        connection.send(query.to_wire())
        while True:
            reply = read_reply(await loop.sock_recv(connection, 65535), query)
            if reply is not None:
                return reply


def read_reply(wire: bytes, query: dns.message.Message) -> dns.message.Message | None:
    """The message in a datagram; None when it is no reply to `query`, as a forged one must not end the wait for the
    real one. Raises Truncated for a reply that was cut."""
    try:
        reply = dns.message.from_wire(wire, raise_on_truncation=True)
    except dns.message.Truncated as error:
        if query.is_response(error.message()):  # type: ignore[no-untyped-call]
            raise
        return None
    except Exception:
        # Not only DNSException: what a stranger's octets raise inside the parser is the parser's secret.
        return None
    return reply if query.is_response(reply) else None
