"""Questions of a mail sender, asked of real name servers; answers as values, never as exceptions.

Here: what is answered without asking, aliases, and the reading of records. Below: who is asked (exchange.py) and what
is remembered (cache.py). RFC 1034 §3.6.2 (aliases), RFC 5321 §5.1 (MX).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.reversename

from shared.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, SrvRecord, TlsaRecord, Trouble
from shared.dns.cache import LONGEST, Cache
from shared.dns.exchange import Exchange, has_soa
from shared.dns.hosts import HostsFile
from shared.dns.names import host_name, literal_address, question_name
from shared.dns.servers import ServerList

LONGEST_CHAIN = 8  #  aliases from the name asked for to the one that has the records

_Ask = Callable[[dns.name.Name, dns.rdatatype.RdataType], Awaitable[dns.message.Message | Trouble]]
_Read = Callable[[Sequence[dns.rdata.Rdata]], tuple[Any, ...]]


class Resolver:
    """`servers` are IP addresses with or without a port; none means those of resolv.conf.

    `timeout` is for one question, all servers and rounds together. `is_trusted`: what these servers call proved by
    DNSSEC is believed although they are on other hosts. Raises ValueError for a server it cannot read.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        timeout: float = 10.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        hosts: HostsFile | None = None,
        ask: _Ask | None = None,
        is_trusted: bool = False,
    ) -> None:
        self._ask: _Ask = ask or Exchange(ServerList(servers), timeout, is_trusted=is_trusted).ask
        self._hosts = hosts or HostsFile()
        self._cache = Cache(clock)

    async def mx(self, domain: str) -> Answer[tuple[MxRecord, ...]]:
        """The MX records of `domain`, in the order they came. Records whose host is no host name are left out."""
        local = self._hosts.addresses(domain)
        if local and (literal_address(domain) or domain.lower().rstrip(".").endswith("localhost")):
            return NoData(LONGEST)
        answer = await self._records(domain, dns.rdatatype.MX, _read_mx)
        # A host of the hosts file need not be in the DNS to have mail (its address is its mail exchanger).
        return NoData(answer.ttl) if local and isinstance(answer, NoSuchName) else answer

    async def srv(self, service: str, domain: str) -> Answer[tuple[SrvRecord, ...]]:
        """The servers of `service` (`_submissions._tcp`) for `domain`, in the order they came."""
        return await self._below(service, domain, dns.rdatatype.SRV, _read_srv)

    async def tlsa(self, port: int, host: str) -> Answer[tuple[TlsaRecord, ...]]:
        """The TLSA records of the server at `port` of `host` (RFC 6698 §3), in the order they came."""
        return await self._below(f"_{port}._tcp", host, dns.rdatatype.TLSA, _read_tlsa)

    async def text(self, label: str, domain: str) -> Answer[tuple[str, ...]]:
        """The TXT records of `label` (`_mta-sts`) below `domain`, the strings of each put together."""
        return await self._below(label, domain, dns.rdatatype.TXT, _read_text)

    async def strings(self, name: str) -> Answer[tuple[str, ...]]:
        """The TXT records of `name`, which need not be a host name, the strings of each put together."""
        return await self._of_any_name(name, dns.rdatatype.TXT, _read_text)

    async def family(self, name: str, version: int) -> Answer[tuple[str, ...]]:
        """The addresses of `name` in IP version 4 or 6 alone; it need not be a host name (RFC 5782)."""
        kind = dns.rdatatype.AAAA if version == 6 else dns.rdatatype.A
        return await self._of_any_name(name, kind, _read_addresses)

    async def pointers(self, address: str) -> Answer[tuple[str, ...]]:
        """The host names that the PTR records of an IP address say it has."""
        return await self._of_any_name(
            dns.reversename.from_address(address).to_text(), dns.rdatatype.PTR, _read_alias
        )

    async def alias(self, host: str) -> Answer[tuple[str, ...]]:
        """What `host` is an alias of, one step; NoData when it is none."""
        return await self._records(host, dns.rdatatype.CNAME, _read_alias)

    async def addresses(self, host: str) -> Answer[tuple[str, ...]]:
        """The IPv6 addresses of `host` and then its IPv4 addresses, each in the order they came."""
        local = self._hosts.addresses(host)
        if local:
            return Found(local, LONGEST)
        six = self._cache.known((host, dns.rdatatype.AAAA))
        four = self._cache.known((host, dns.rdatatype.A))
        if six is not None and four is not None:
            return join_families(six, four)
        return join_families(
            *await asyncio.gather(
                self._records(host, dns.rdatatype.AAAA, _read_addresses),
                self._records(host, dns.rdatatype.A, _read_addresses),
            )
        )

    async def _below(self, labels: str, domain: str, kind: dns.rdatatype.RdataType, read: _Read) -> Answer[Any]:
        """The records of a name that is no host name, as its first labels begin with an underscore."""
        key = (f"{labels}.{domain}", kind)
        known = self._cache.known(key)
        if known is not None:
            return known
        name = question_name(domain)
        if name is None:
            return NoSuchName()
        try:
            asked = dns.name.from_text(labels, None).concatenate(name)
        except dns.exception.DNSException:
            return NoSuchName()  #  with these labels it is too long for a name
        return await self._cache.answer(key, lambda: self._follow(asked, kind, read))

    async def _of_any_name(self, text: str, kind: dns.rdatatype.RdataType, read: _Read) -> Answer[Any]:
        try:
            name = dns.name.from_text(text.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError):
            return NoSuchName()
        return await self._cache.answer((text, kind), lambda: self._follow(name, kind, read))

    def close(self) -> None:
        """Give up the questions under way, as the daemon ends."""
        self._cache.close()

    async def _records(self, text: str, kind: dns.rdatatype.RdataType, read: _Read) -> Answer[Any]:
        key = (text, kind)
        known = self._cache.known(key)
        if known is not None:
            return known
        name = question_name(text)
        if name is None:
            return NoSuchName()
        return await self._cache.answer(key, lambda: self._follow(name, kind, read))

    async def _follow(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, read: _Read) -> Answer[Any]:
        """Ask, and ask again for the name an alias leads to when the server stopped there."""
        ttl, authenticated, aliases = LONGEST, True, 0
        while True:
            reply = await self._ask(name, kind)
            if isinstance(reply, Trouble):
                return reply
            try:
                chain = cast(dns.message.QueryMessage, reply).resolve_chaining()
            except dns.exception.DNSException as error:
                return Trouble(f"the aliases make no sense ({type(error).__name__})")
            aliases += len(chain.cnames)
            if aliases > LONGEST_CHAIN:
                return Trouble(f"more than {LONGEST_CHAIN} aliases in a row, or a loop of aliases")
            ttl = min(ttl, float(chain.minimum_ttl))
            authenticated = authenticated and bool(reply.flags & dns.flags.AD)
            if reply.rcode() == dns.rcode.NXDOMAIN:
                return NoSuchName(ttl, authenticated)
            if chain.answer is not None:
                canonical = (host_name(chain.canonical_name) or "") if aliases else ""
                return Found(read(list(chain.answer)), ttl, authenticated, canonical=canonical)
            if not chain.cnames or has_soa(reply):
                return NoData(ttl, authenticated)
            name = chain.canonical_name


def join_families(six: Answer[tuple[str, ...]], four: Answer[tuple[str, ...]]) -> Answer[tuple[str, ...]]:
    """One answer from those for AAAA and A. Addresses of one family are enough; without any, doubt comes first."""
    parts = (six, four)
    found = [part for part in parts if isinstance(part, Found)]
    if found:
        return Found(
            tuple(address for part in found for address in part.values),
            min(part.ttl for part in found),
            all(not isinstance(part, Trouble) and part.authenticated for part in parts),
            any(part.stale for part in found),
            found[0].canonical,
        )
    if isinstance(six, Trouble):
        return six
    if isinstance(four, Trouble):
        return four
    ttl, authenticated = min(six.ttl, four.ttl), six.authenticated and four.authenticated
    if isinstance(six, NoSuchName) and isinstance(four, NoSuchName):
        return NoSuchName(ttl, authenticated)
    # One family says "no such name", the other "nothing here": the name exists (RFC 8020 §2, broken servers).
    return NoData(ttl, authenticated, any(isinstance(part, NoData) and part.stale for part in parts))


def _read_mx(records: Sequence[dns.rdata.Rdata]) -> tuple[MxRecord, ...]:
    named = ((int(record.preference), host_name(record.exchange)) for record in records)  # type: ignore[attr-defined]
    return tuple(MxRecord(preference, host) for preference, host in named if host is not None)


def _read_srv(records: Sequence[Any]) -> tuple[SrvRecord, ...]:
    named = ((record, host_name(record.target)) for record in records)
    return tuple(
        SrvRecord(int(record.priority), int(record.weight), int(record.port), host)
        for record, host in named
        if host is not None
    )


def _read_tlsa(records: Sequence[Any]) -> tuple[TlsaRecord, ...]:
    return tuple(TlsaRecord(int(one.usage), int(one.selector), int(one.mtype), bytes(one.cert)) for one in records)


def _read_text(records: Sequence[Any]) -> tuple[str, ...]:
    #  Octets beyond ASCII can only be wrong in what is written there for mail; they stay one character each.
    return tuple(b"".join(record.strings).decode("latin-1") for record in records)


def _read_alias(records: Sequence[Any]) -> tuple[str, ...]:
    named = (host_name(record.target) for record in records)
    return tuple(host for host in named if host is not None)


def _read_addresses(records: Sequence[dns.rdata.Rdata]) -> tuple[str, ...]:
    return tuple(str(record.address) for record in records)  # type: ignore[attr-defined]
