"""One question and the servers that may answer it: each in its turn, until one knows or the time is over.

Here: who is asked, how long, and whether a reply is one. Not here: sockets (wire.py), what the records mean
(resolver.py), what is remembered (cache.py). RFC 1035 §7.

dnspython carries the messages; its own resolver class does not fit: it takes a server that only refers us elsewhere
for one that says "no such record", and mail would be sent back for a fault in somebody's delegation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from shared.dns.answers import Trouble
from shared.dns.servers import Server, ServerList
from shared.dns.wire import carry

#  Seconds for each server in the first, second, … round; the last is used again until the time is over.
_PATIENCE = (2.0, 3.0, 5.0)
#  Datagrams larger than this are fragmented on some paths, and fragments are lost or forged (RFC 9715 §3).
_PAYLOAD = 1232
#  Every query has a socket of its own; a message to a thousand domains must not use up the descriptors.
_AT_ONCE = 100
_USEFUL = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
_TIMED_OUT = Trouble("timed out")
#  Of every query the same; nobody changes it.
_OPT = dns.message.make_query(".", "A", use_edns=0, payload=_PAYLOAD).opt


class Exchange:
    """Asks the servers of a list, in its order. `timeout` is for all of them and all rounds together. `is_trusted`:
    the way to them is as safe as if they were on this host."""

    def __init__(
        self,
        servers: ServerList,
        timeout: float,
        *,
        carry: Callable[[dns.message.Message, Server], Awaitable[dns.message.Message]] = carry,
        clock: Callable[[], float] = time.monotonic,
        is_trusted: bool = False,
    ) -> None:
        self._servers = servers
        self._timeout = timeout
        self._carry = carry
        self._clock = clock
        self._is_trusted = is_trusted
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message | Trouble:
        """A reply with NOERROR or NXDOMAIN, from a server that may give one; else what is wrong with each.

        The AD bit of the reply is cleared unless every server is on this host or trusted: on the way anyone can set
        it.
        """
        async with self._gate:
            reply = await self._ask_in_turn(name, kind)
        if isinstance(reply, dns.message.Message) and not self._is_believed():
            reply.flags &= ~dns.flags.AD
        return reply

    def _is_believed(self) -> bool:
        return self._is_trusted or all(server.is_loopback for server in self._servers.current())

    async def _ask_in_turn(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message | Trouble:
        deadline = self._clock() + self._timeout
        faults: dict[Server, str] = {}
        silent = list(self._servers.current())
        turn = 0
        while silent:
            patience = _PATIENCE[min(turn, len(_PATIENCE) - 1)]
            for server in tuple(silent):
                left = deadline - self._clock()
                if left <= 0:
                    return _trouble(faults)
                reply = await self._ask_one(server, name, kind, min(patience, left))
                if isinstance(reply, dns.message.Message):
                    return reply
                faults[server] = reply.reason
                if reply is _TIMED_OUT:
                    self._servers.demote(server)
                else:
                    silent.remove(server)
            turn += 1
        return _trouble(faults)

    async def _ask_one(
        self, server: Server, name: dns.name.Name, kind: dns.rdatatype.RdataType, patience: float
    ) -> dns.message.Message | Trouble:
        query = make_query(name, kind)
        try:
            async with asyncio.timeout(patience):
                reply = await self._carry(query, server)
        except (TimeoutError, dns.exception.Timeout):
            return _TIMED_OUT
        except (OSError, EOFError) as error:
            return Trouble(getattr(error, "strerror", None) or "connection lost")
        except dns.exception.DNSException as error:
            return Trouble(f"malformed reply ({type(error).__name__})")
        fault = find_fault(reply)
        return Trouble(fault) if fault else reply


def make_query(name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.QueryMessage:
    """As dnspython's, which makes the OPT record anew for each: half of what a query takes."""
    query = dns.message.QueryMessage()
    #  RFC 6840 §5.7: AD tells us whether it was proved, without the signatures.
    query.flags = dns.flags.RD | dns.flags.AD
    query.opt = _OPT
    query.find_rrset(query.question, name, dns.rdataclass.IN, kind, create=True, force_unique=True)
    return query


def find_fault(reply: dns.message.Message) -> str:
    """Why this reply answers nothing, or "" when it does."""
    if reply.rcode() not in _USEFUL:
        return dns.rcode.to_text(reply.rcode())
    if reply.answer or reply.flags & (dns.flags.AA | dns.flags.RA) or has_soa(reply):
        return ""
    # Neither in charge of the name nor willing to look for it (a lame delegation): it does not know.
    return "lame: it refers to other servers"


def has_soa(reply: dns.message.Message) -> bool:
    """Whether a zone says "not here" (RFC 2308 §2.2), rather than a server "I have no more to say"."""
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in reply.authority)


def _trouble(faults: dict[Server, str]) -> Trouble:
    return Trouble("; ".join(f"name server {server}: {fault}" for server, fault in faults.items()))
