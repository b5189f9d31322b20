"""A small authoritative DNS server for the demo: a table of names, over UDP and TCP on a loopback port.

    Authority({"partner.example": {"MX": [(10, "mx.partner.example")]}, "mx.partner.example": {"A": ["127.0.0.2"]}})

It is in charge of the root, so that what is not in the table does not exist, and no question leaves this machine.
dnspython writes the messages (RFC 1035, RFC 2308, RFC 6891), asyncio carries them. Not for the Internet: no zone
transfer, no signatures, no limits but the size of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 60
#  A name's records by type: MX as (preference, host) pairs, the others as they stand in a zone file, a CNAME alone as
#  text. Instead of records the name of a response code, `SERVFAIL`, for a name whose servers are ill.
Records = Mapping[str, Sequence[str] | Sequence[tuple[int, str]] | str] | str

_LONGEST_CHAIN = 12
_SMALLEST_PAYLOAD = 512  #  RFC 1035 §2.3.4, for those who do not say more (RFC 6891 §6.2.3)
_LARGEST_PAYLOAD = 1232
_SOA = ". authority.invalid. 1 3600 600 86400 60"


class Authority:
    """`answer` is the server; `listen` gives it sockets."""

    def __init__(self, table: Mapping[str, Records]) -> None:
        self._table = {_name(text): _parse(records) for text, records in table.items()}
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams: asyncio.Server | None = None

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """The reply to `query`; never raises for a query that dnspython could read."""
        reply = dns.message.make_response(query, our_payload=_LARGEST_PAYLOAD)
        if query.opcode() != dns.opcode.QUERY:
            reply.set_rcode(dns.rcode.NOTIMP)
        elif len(query.question) != 1:
            reply.set_rcode(dns.rcode.FORMERR)
        elif query.question[0].rdclass != dns.rdataclass.IN:
            reply.set_rcode(dns.rcode.REFUSED)
        else:
            self._look_up(query.question[0].name, query.question[0].rdtype, reply)
        return reply

    def answer_wire(self, wire: bytes, stream: bool = False) -> bytes | None:
        """The same in bytes; None for what deserves no reply. A datagram that is too small for all is marked cut."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        room = 65535 if stream else min(max(query.payload, _SMALLEST_PAYLOAD), _LARGEST_PAYLOAD)
        return self.answer(query).to_wire(max_size=room, prefer_truncation=True)

    async def listen(self, address: str, port: int) -> None:
        """Serve on this address and port, UDP and TCP, until `close`. Raises OSError when one of them is taken."""
        loop = asyncio.get_running_loop()
        self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(address, port))
        try:
            self._streams = await asyncio.start_server(self._serve_stream, address, port)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
        if self._streams is not None:
            self._streams.close()

    def _look_up(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, reply: dns.message.Message) -> None:
        reply.flags |= dns.flags.AA
        for _ in range(_LONGEST_CHAIN):
            records = self._table.get(name)
            if isinstance(records, dns.rcode.Rcode):
                reply.set_rcode(records)
                return
            records = records or {}
            alias = records.get(dns.rdatatype.CNAME)
            if kind in records:
                _append(reply.answer, name, kind, records[kind])
                return
            if alias is None:
                break
            _append(reply.answer, name, dns.rdatatype.CNAME, alias)
            name = _name(alias[0])
        else:
            return  # the asker may go on from here, if he thinks it worth while
        if not self._exists(name):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        _append(reply.authority, dns.name.root, dns.rdatatype.SOA, [_SOA])

    def _exists(self, name: dns.name.Name) -> bool:
        """Also when only something below it does (RFC 8020 §3.1)."""
        return name in self._table or any(known.is_subdomain(name) for known in self._table)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        #  RFC 1035 §4.2.2: two octets of length before every message.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                reply = self.answer_wire(await reader.readexactly(length), stream=True)
                if reply is None:
                    break
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        reply = self._authority.answer_wire(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text, dns.name.root)


def _parse(records: Records) -> dict[dns.rdatatype.RdataType, list[str]] | dns.rcode.Rcode:
    if isinstance(records, str):
        return dns.rcode.from_text(records)
    return {dns.rdatatype.from_text(kind): _texts(values) for kind, values in records.items()}


def _texts(values: Sequence[str] | Sequence[tuple[int, str]] | str) -> list[str]:
    """As in a zone file, every name absolute."""
    if isinstance(values, str):
        return [_name(values).to_text()]
    return [value if isinstance(value, str) else f"{value[0]} {_name(value[1]).to_text()}" for value in values]


def _append(
    section: list[dns.rrset.RRset], name: dns.name.Name, kind: dns.rdatatype.RdataType, texts: Sequence[str]
) -> None:
    if texts:
        section.append(dns.rrset.from_text_list(name, TTL, dns.rdataclass.IN, kind, texts))
