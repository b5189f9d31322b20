"""shared/dns/resolver.py: what comes back for what stands in the DNS; the messages are real, the network is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from shared.admin.demo.authority import Authority
from shared.dns.answers import Found, MxRecord, NoData, NoSuchName, SrvRecord, Trouble
from shared.dns.hosts import HostsFile
from shared.dns.resolver import Resolver, join_families

CHAIN = {f"c{number}.example": {"CNAME": f"c{number + 1}.example"} for number in range(20)}
TABLE = {
    "example.org": {"MX": [(20, "B.example.org"), (10, "a.example.org")], "A": ["192.0.2.1"]},
    "a.example.org": {"A": ["192.0.2.10", "192.0.2.11"], "AAAA": ["2001:db8::10"]},
    "b.example.org": {"AAAA": ["2001:db8::20"]},
    "bare.example": {"TXT": ['"hello"']},
    "null.example": {"MX": [(0, ".")]},
    "alias.example": {"CNAME": "example.org"},
    "dangling.example": {"CNAME": "gone.example"},
    "loop.example": {"CNAME": "loop2.example"},
    "loop2.example": {"CNAME": "loop.example"},
    "ill.example": "SERVFAIL",
    **CHAIN,
    "c20.example": {"A": ["192.0.2.20"]},
}


class Wire:
    """Carries every message through its octets, as a network would, and counts."""

    def __init__(self, table=TABLE) -> None:
        self.authority = Authority(table)
        self.asked: list[tuple[str, str]] = []
        self.flags = dns.flags.from_text("")
        self.replies = None

    async def ask(self, name, kind):
        self.asked.append((name.to_text(), dns.rdatatype.to_text(kind)))
        await asyncio.sleep(0)
        query = dns.message.make_query(name, kind)
        reply = self.replies(query) if self.replies else self.authority.answer(query)
        if reply.rcode() not in (0, 3):
            return Trouble(f"name server 127.0.0.1:53: {reply.rcode()}")
        reply.flags |= self.flags
        return dns.message.from_wire(reply.to_wire())


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def resolver(wire: Wire, tmp_path: Path) -> Resolver:
    (tmp_path / "hosts").write_text("192.0.2.99 printer printer.lan.example\n")
    return Resolver(hosts=HostsFile(tmp_path / "hosts"), ask=wire.ask, clock=lambda: 0.0)


def of(answer):
    """The values of an answer that must be Found, or its type."""
    return answer.values if isinstance(answer, Found) else type(answer)


def test_services(resolver, wire):
    """Names with an underscore are asked for, and hosts with one are left out."""

    def replies(query):
        reply = dns.message.make_response(query)
        name = query.question[0].name
        records = ["10 5 465 Smtp.example.org.", "20 0 465 b_d.example.org."]
        if name.to_text().startswith("_submissions._tcp."):
            reply.answer.append(dns.rrset.from_text_list(name, 300, dns.rdataclass.IN, dns.rdatatype.SRV, records))
        return reply

    wire.replies = replies
    for _ in range(2):
        answer = asyncio.run(resolver.srv("_submissions._tcp", "Example.org"))
        assert of(answer) == (SrvRecord(10, 5, 465, "smtp.example.org"),)
    assert wire.asked == [("_submissions._tcp.example.org.", "SRV")]
    assert of(asyncio.run(resolver.srv("_submission._tcp", "example.org"))) is NoData
    assert of(asyncio.run(resolver.srv("_submissions._tcp", "not a name"))) is NoSuchName


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        ("example.org", {MxRecord(20, "b.example.org"), MxRecord(10, "a.example.org")}),
        ("EXAMPLE.org.", {MxRecord(20, "b.example.org"), MxRecord(10, "a.example.org")}),
        ("alias.example", {MxRecord(20, "b.example.org"), MxRecord(10, "a.example.org")}),
        ("null.example", {MxRecord(0, ".")}),
        ("bare.example", NoData),
        ("gone.example", NoSuchName),
        ("dangling.example", NoSuchName),
        ("loop.example", Trouble),
        ("ill.example", Trouble),
        ("c13.example", NoData),
        ("c0.example", Trouble),
        ("not a name", NoSuchName),
        ("localhost", NoData),
        ("printer.lan.example", NoData),
        ("192.0.2.1", NoData),
    ],
)
def test_mail_exchangers(resolver, domain, values):
    answer = of(asyncio.run(resolver.mx(domain)))
    assert (set(answer) if isinstance(answer, tuple) else answer) == values


@pytest.mark.parametrize(
    ("host", "values"),
    [
        ("a.example.org", ("2001:db8::10", "192.0.2.10", "192.0.2.11")),
        ("b.example.org", ("2001:db8::20",)),
        ("alias.example", ("192.0.2.1",)),
        ("bare.example", NoData),
        ("gone.example", NoSuchName),
        ("ill.example", Trouble),
        ("loop.example", Trouble),
        ("c12.example", ("192.0.2.20",)),
        ("c11.example", Trouble),
        ("192.0.2.7", ("192.0.2.7",)),
        ("2001:DB8::7", ("2001:db8::7",)),
        ("localhost", ("::1", "127.0.0.1")),
        ("printer", ("192.0.2.99",)),
        ("a..b", NoSuchName),
    ],
)
def test_addresses(resolver, host, values):
    """D-04: eight aliases are followed, nine are not, a loop ends."""
    answer = of(asyncio.run(resolver.addresses(host)))
    if isinstance(answer, tuple):
        # A server sends the records of a set in any order; IPv6 comes before IPv4 all the same.
        answer = tuple(sorted(answer, key=lambda address: (":" not in address, address)))
    assert answer == values


@pytest.mark.parametrize("host", ["192.0.2.7", "::1", "localhost", "x.localhost", "printer"])
def test_local_answers_ask_nobody(resolver, wire, host):
    asyncio.run(resolver.addresses(host))
    assert wire.asked == []


def test_a_question_is_asked_once_for_its_time(resolver, wire):
    async def often():
        await asyncio.gather(*(resolver.addresses("a.example.org") for _ in range(20)))
        await resolver.addresses("a.example.org")

    asyncio.run(often())
    assert sorted(wire.asked) == [("a.example.org.", "A"), ("a.example.org.", "AAAA")]


def reply_with(*records: str, authority: tuple[str, ...] = (), rcode: int = 0, flags=dns.flags.AA):
    def reply(query):
        answer = dns.message.make_response(query)
        answer.flags |= flags
        answer.set_rcode(rcode)
        for section, lines in ((answer.answer, records), (answer.authority, authority)):
            for line in lines:
                owner, ttl, kind, data = line.split(maxsplit=3)
                section.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
        return answer

    return reply


def test_records_of_hosts_that_are_none_are_left_out_and_all_of_them_is_not_none(resolver, wire):
    """D-06: refused, and yet the domain has MX records: its own address must not be tried instead."""
    wire.replies = reply_with("example.org. 60 MX 10 mx_1.example.org.", "example.org. 60 MX 20 192.0.2.1.")
    answer = asyncio.run(resolver.mx("example.org"))
    assert isinstance(answer, Found) and answer.values == ()


@pytest.mark.parametrize("name", [r"a\032b.", r"a\000b.", r"\.\.\/etc.", r"a\.b.", r"a\255b.", r"a\010b."])
def test_octets_that_are_no_letters_do_not_come_through(resolver, wire, name):
    wire.replies = reply_with("example.org. 60 MX 10 mx.example.org.")
    query = dns.message.make_query("example.org", "MX")
    good = wire.replies(query)
    good.answer[0].add(dns.rrset.from_text("example.org.", 60, "IN", "MX", f"10 {name}")[0])

    async def ask(_name, _kind):
        return dns.message.from_wire(good.to_wire())

    resolver._ask = ask
    answer = asyncio.run(resolver.mx("example.org"))
    assert isinstance(answer, Found)
    assert answer.values == (MxRecord(10, "mx.example.org"),)


def test_records_that_nobody_asked_for_are_not_read(resolver, wire):
    """D-07."""
    wire.replies = reply_with(
        "example.org. 60 MX 10 mx.example.org.",
        "other.example. 60 MX 1 evil.example.",
        authority=("other.example. 60 A 192.0.2.66",),
    )
    assert of(asyncio.run(resolver.mx("example.org"))) == (MxRecord(10, "mx.example.org"),)


def test_an_alias_whose_end_the_server_does_not_know_is_asked_for(resolver, wire):
    first = reply_with("example.org. 60 CNAME far.example.")
    second = reply_with("far.example. 30 MX 10 mx.far.example.")
    wire.replies = lambda query: (first if str(query.question[0].name) == "example.org." else second)(query)
    answer = asyncio.run(resolver.mx("example.org"))
    assert answer == Found((MxRecord(10, "mx.far.example"),), 30.0, canonical="far.example")


def test_an_alias_that_goes_from_question_to_question_in_a_circle_ends(resolver, wire):
    circle = {
        "a.example.": reply_with("a.example. 60 CNAME b.example."),
        "b.example.": reply_with("b.example. 60 CNAME a.example."),
    }
    wire.replies = lambda query: circle[str(query.question[0].name)](query)
    assert isinstance(asyncio.run(resolver.mx("a.example")), Trouble)
    assert len(wire.asked) <= 9


@pytest.mark.parametrize(("ttl", "expected"), [(0, 0), (300, 300), (2**31 - 1, 2**31 - 1)])
def test_the_ttl_is_that_of_the_shortest_record(resolver, wire, ttl, expected):
    wire.replies = reply_with(f"example.org. {ttl} MX 10 mx.example.org.")
    answer = asyncio.run(resolver.mx("example.org"))
    assert isinstance(answer, Found) and answer.ttl == min(expected, 86400)


@pytest.mark.parametrize("flags", [0, dns.flags.AD])
def test_authenticated_is_the_ad_bit(resolver, wire, flags):
    wire.flags = dns.flags.Flag(flags)
    for answer in (
        asyncio.run(resolver.mx("example.org")),
        asyncio.run(resolver.addresses("a.example.org")),
        asyncio.run(resolver.mx("bare.example")),
        asyncio.run(resolver.mx("gone.example")),
    ):
        assert answer.authenticated is bool(flags)


SIX, FOUR = Found(("2001:db8::1",), 60, True), Found(("192.0.2.1",), 30, True)


@pytest.mark.parametrize(
    ("six", "four", "joined"),
    [
        (SIX, FOUR, Found(("2001:db8::1", "192.0.2.1"), 30, True)),
        (SIX, NoData(10, True), Found(("2001:db8::1",), 60, True)),
        (SIX, NoData(10, False), Found(("2001:db8::1",), 60, False)),
        (Trouble("timed out"), FOUR, Found(("192.0.2.1",), 30, False)),
        (NoData(10), Trouble("timed out"), Trouble("timed out")),
        (NoSuchName(10), Trouble("timed out"), Trouble("timed out")),
        (NoData(10), NoData(20), NoData(10)),
        (NoSuchName(10), NoSuchName(20), NoSuchName(10)),
        (NoSuchName(10), NoData(20), NoData(10)),
        (NoData(10, stale=True), NoData(20), NoData(10, stale=True)),
        (Found(("2001:db8::1",), 60, stale=True), NoData(), Found(("2001:db8::1",), 60, stale=True)),
    ],
)
def test_two_families_make_one_answer(six, four, joined):
    assert join_families(six, four) == joined


def test_a_resolver_with_a_wrong_server_is_refused_at_once():
    with pytest.raises(ValueError, match="no name server"):
        Resolver(("dns.example",))
