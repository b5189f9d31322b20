"""The contract of shared.dns.name_service.NameService: the real resolver and the fake of the tests pass it alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import dns.message
import pytest
from fakes.zones import FakeResolver

from shared.admin.demo.authority import Authority
from shared.dns.answers import Found, MxRecord, NoData, NoSuchName, Trouble
from shared.dns.hosts import HostsFile
from shared.dns.name_service import NameService
from shared.dns.resolver import Resolver

ZONE = {
    "example.org": {"MX": [(10, "mx.example.org")], "A": ["192.0.2.1"]},
    "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
    "null.example": {"MX": [(0, ".")]},
    "_odd.example.org": {"A": ["192.0.2.77"]},
    "25.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org."]},
    "bare.example": {"TXT": ['"nothing for mail"']},
    "alias.example": {"CNAME": "example.org"},
    "loop.example": {"CNAME": "loop.example"},
}


def real(tmp_path: Path) -> NameService:
    authority = Authority({**ZONE, "broken.example": "SERVFAIL"})

    async def ask(name, kind):
        wire = authority.answer_wire(dns.message.make_query(name, kind).to_wire(), stream=True)
        assert wire is not None
        reply = dns.message.from_wire(wire)
        return reply if reply.rcode() in (0, 3) else Trouble("SERVFAIL")

    return Resolver(hosts=HostsFile(tmp_path / "none"), ask=ask)


def fake(tmp_path: Path) -> NameService:
    return FakeResolver({**ZONE, "broken.example": Trouble("SERVFAIL")})


@pytest.mark.parametrize("make", [real, fake])
@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.org", (MxRecord(10, "mx.example.org"),)),
        ("Example.ORG", (MxRecord(10, "mx.example.org"),)),
        ("alias.example", (MxRecord(10, "mx.example.org"),)),
        ("null.example", (MxRecord(0, "."),)),
        ("bare.example", NoData),
        ("gone.example", NoSuchName),
        ("loop.example", Trouble),
        ("broken.example", Trouble),
    ],
)
def test_mx(tmp_path: Path, make: Callable[[Path], NameService], domain, expected):
    answer = asyncio.run(make(tmp_path).mx(domain))
    assert (answer.values if isinstance(answer, Found) else type(answer)) == expected


@pytest.mark.parametrize("make", [real, fake])
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mx.example.org", ("2001:db8::25", "192.0.2.25")),
        ("alias.example", ("192.0.2.1",)),
        ("bare.example", NoData),
        ("gone.example", NoSuchName),
        ("loop.example", Trouble),
        ("broken.example", Trouble),
    ],
)
def test_addresses(tmp_path: Path, make: Callable[[Path], NameService], host, expected):
    answer = asyncio.run(make(tmp_path).addresses(host))
    assert (answer.values if isinstance(answer, Found) else type(answer)) == expected


@pytest.mark.parametrize("make", [real, fake])
@pytest.mark.parametrize(
    ("question", "arguments", "expected"),
    [
        ("family", ("mx.example.org", 4), ("192.0.2.25",)),
        ("family", ("mx.example.org", 6), ("2001:db8::25",)),
        ("family", ("_odd.example.org", 4), ("192.0.2.77",)),
        ("family", ("example.org", 6), NoData),
        ("pointers", ("192.0.2.25",), ("mx.example.org",)),
        ("pointers", ("192.0.2.26",), NoSuchName),
        ("strings", ("gone.example",), NoSuchName),
        ("strings", ("broken.example",), Trouble),
    ],
)
def test_names_that_are_no_hosts(tmp_path: Path, make, question: str, arguments: tuple, expected):
    answer = asyncio.run(getattr(make(tmp_path), question)(*arguments))
    assert (answer.values if isinstance(answer, Found) else type(answer)) == expected
