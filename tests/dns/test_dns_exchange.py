"""shared/dns/exchange.py: which server is asked, how long, and which replies count; without a network."""

from __future__ import annotations

import asyncio

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from shared.dns.answers import Trouble
from shared.dns.exchange import Exchange, make_query
from shared.dns.servers import ServerList

NAME = dns.name.from_text("example.org")
MX = dns.rdatatype.MX


class Network:
    """`behaviour` by server address: a rcode, an exception to raise, "silent", "lame", or "good"."""

    def __init__(self, **behaviour) -> None:
        self.behaviour = {key.replace("s", "127.0.0."): value for key, value in behaviour.items()}
        self.asked: list[str] = []
        self.now = 0.0
        self.flags = dns.flags.AA | dns.flags.AD

    async def carry(self, query, server):
        self.asked.append(server.address)
        what = self.behaviour[server.address]
        if what == "silent":
            self.now += 2.0
            raise TimeoutError
        if isinstance(what, Exception):
            raise what
        reply = dns.message.make_response(query)
        if what == "lame":
            reply.authority.append(dns.rrset.from_text("example.org.", 60, "IN", "NS", "ns.elsewhere.example."))
            return reply
        reply.flags |= self.flags
        if what == "good":
            reply.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "MX", "10 mx.example.org."))
        else:
            reply.set_rcode(what)
        return reply

    def clock(self) -> float:
        return self.now

    def exchange(self, *servers: str, timeout: float = 10.0) -> Exchange:
        servers = servers or tuple(self.behaviour)
        return Exchange(ServerList(servers), timeout, carry=self.carry, clock=self.clock)


def ask(network: Network, *servers: str):
    return asyncio.run(network.exchange(*servers).ask(NAME, MX))


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (dns.rcode.SERVFAIL, "SERVFAIL"),
        (dns.rcode.REFUSED, "REFUSED"),
        (dns.rcode.NOTIMP, "NOTIMP"),
        (dns.rcode.FORMERR, "FORMERR"),
        ("lame", "lame"),
        ("silent", "timed out"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (EOFError("EOF"), "connection lost"),
        (dns.query.BadResponse(), "malformed reply"),
        (dns.exception.FormError(), "malformed reply"),
        (dns.exception.Timeout(), "timed out"),
    ],
)
def test_the_next_server_is_asked_and_without_one_the_trouble_has_words(behaviour, words):
    """D-05: none of these says that a name or a record does not exist."""
    network = Network(s1=behaviour, s2="good")
    assert isinstance(ask(network), dns.message.Message)
    assert network.asked == ["127.0.0.1", "127.0.0.2"]
    if not isinstance(behaviour, dns.exception.Timeout):
        trouble = ask(Network(s1=behaviour))
        assert isinstance(trouble, Trouble)
        assert trouble.reason.startswith("name server 127.0.0.1:53: ") and words in trouble.reason


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_what_a_server_in_charge_says_is_an_answer(rcode):
    network = Network(s1=rcode, s2="good")
    reply = ask(network)
    assert isinstance(reply, dns.message.Message) and reply.rcode() == rcode
    assert network.asked == ["127.0.0.1"]


def test_an_empty_answer_of_a_recursive_server_counts():
    network = Network(s1=dns.rcode.NOERROR)
    network.flags = dns.flags.RA
    assert isinstance(ask(network), dns.message.Message)


def test_a_server_that_said_no_is_not_asked_twice_and_a_silent_one_is_until_the_time_is_over():
    network = Network(s1=dns.rcode.SERVFAIL, s2="silent")
    trouble = ask(network)
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "name server 127.0.0.1:53: SERVFAIL; name server 127.0.0.2:53: timed out"
    assert network.asked == ["127.0.0.1"] + ["127.0.0.2"] * 5
    assert network.now == 10.0


def test_a_server_that_was_silent_is_asked_last_the_next_time():
    network = Network(s1="silent", s2="good")
    exchange = network.exchange()

    async def twice():
        await exchange.ask(NAME, MX)
        await exchange.ask(NAME, MX)

    asyncio.run(twice())
    assert network.asked == ["127.0.0.1", "127.0.0.2", "127.0.0.2"]


@pytest.mark.parametrize(
    ("servers", "trusted"),
    [(("127.0.0.1",), True), (("127.0.0.1", "192.0.2.53"), False), (("192.0.2.53",), False), (("::1",), True)],
)
def test_the_ad_bit_is_believed_only_when_every_server_is_on_this_host(servers, trusted):
    """D-07."""
    network = Network()
    network.behaviour = dict.fromkeys(servers, "good")
    reply = ask(network, *servers)
    assert isinstance(reply, dns.message.Message)
    assert bool(reply.flags & dns.flags.AD) is trusted


def test_the_query_asks_for_proof_and_small_answers():
    seen = []

    async def carry(query, server):
        seen.append(query)
        raise TimeoutError

    asyncio.run(Exchange(ServerList(("127.0.0.1",)), 0.01, carry=carry).ask(NAME, MX))
    assert all(query.flags & dns.flags.AD and query.flags & dns.flags.RD for query in seen)
    assert {query.payload for query in seen} == {1232}


def test_only_so_many_queries_are_under_way_at_once():
    under_way = most = 0

    async def carry(query, server):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        raise ConnectionRefusedError(111, "Connection refused")

    async def flood():
        exchange = Exchange(ServerList(("127.0.0.1",)), 10, carry=carry)
        await asyncio.gather(*(exchange.ask(NAME, MX) for _ in range(500)))

    asyncio.run(flood())
    assert 50 <= most <= 100


def test_a_query_is_what_dnspython_would_make_of_it():
    theirs = dns.message.make_query(NAME, MX, use_edns=0, payload=1232)
    theirs.flags |= dns.flags.AD
    for _ in range(2):
        ours = make_query(NAME, MX)
        theirs.id = ours.id
        assert ours.to_wire() == theirs.to_wire() and ours == theirs
    assert make_query(NAME, MX).id != make_query(NAME, MX).id or make_query(NAME, MX).id != ours.id
