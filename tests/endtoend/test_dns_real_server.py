"""The resolver and the planner against a real name server (nsd), and against the demo's, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
from peers import NameServer
from process import free_port

from mercury_e.route import EndToEndPlanner
from shared.admin.demo.authority import Authority
from shared.dns.answers import Found, MxRecord, NoData, NoSuchName, Trouble
from shared.dns.hosts import HostsFile
from shared.dns.resolver import Resolver
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable

MANY = "\n".join(f"many MX {number} a-rather-long-name-of-a-mail-host-{number}" for number in range(100))
ALIASES = "\n".join(f"c{number} CNAME c{number + 1}" for number in range(12))
ZONE = f"""\
@ MX 10 mx1
@ MX 20 mx2
@ A 192.0.2.1
mx1 A 192.0.2.10
mx1 AAAA 2001:db8::10
mx2 AAAA 2001:db8::20
plain A 192.0.2.3
six AAAA 2001:db8::3
bare TXT "nothing for mail"
null MX 0 .
alias CNAME @
alias2 CNAME far.other.test.
loop CNAME loop2
loop2 CNAME loop
odd MX 10 under_score
odd MX 20 sp\\032ace
odd MX 30 mx1
{MANY}
{ALIASES}
c12 A 192.0.2.12
"""
ZONES = {
    "example.test": ZONE,
    "other.test": "far MX 10 mx.other.test.\nmx A 192.0.2.30\n",
    "broken.test": "this is no zone file at all ((\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    server = NameServer(tmp_path_factory.mktemp("dns"), free_port("127.0.0.1"), ZONES)
    server.start()
    yield server
    server.stop()


def ask(servers: list[str], question: str, name: str, timeout: float = 5.0) -> Any:
    resolver = Resolver(servers, timeout, hosts=HostsFile("/nonexistent"))
    answer = asyncio.run(getattr(resolver, question)(name))
    return set(answer.values) if isinstance(answer, Found) else type(answer)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.test", {MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")}),
        ("alias.example.test", {MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")}),
        ("alias2.example.test", {MxRecord(10, "mx.other.test")}),
        ("null.example.test", {MxRecord(0, ".")}),
        ("odd.example.test", {MxRecord(30, "mx1.example.test")}),
        ("bare.example.test", NoData),
        ("gone.example.test", NoSuchName),
        ("loop.example.test", Trouble),
        ("broken.test", Trouble),
        ("not-served.invalid", Trouble),
    ],
)
def test_mail_exchangers(server: NameServer, domain: str, expected: Any) -> None:
    assert ask([f"127.0.0.1:{server.port}"], "mx", domain) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mx1.example.test", {"192.0.2.10", "2001:db8::10"}),
        ("mx2.example.test", {"2001:db8::20"}),
        ("plain.example.test", {"192.0.2.3"}),
        ("c4.example.test", {"192.0.2.12"}),
        ("c0.example.test", Trouble),
        ("null.example.test", NoData),
        ("gone.example.test", NoSuchName),
        ("broken.test", Trouble),
    ],
)
def test_addresses(server: NameServer, host: str, expected: Any) -> None:
    assert ask([f"127.0.0.1:{server.port}"], "addresses", host) == expected


def test_an_answer_too_large_for_a_datagram_comes_by_tcp(server: NameServer) -> None:
    query = dns.message.make_query("many.example.test", "MX", use_edns=0, payload=1232)
    cut = asyncio.run(dns.asyncquery.udp(query, "127.0.0.1", port=server.port, timeout=5))
    assert cut.flags & dns.flags.TC
    assert len(ask([f"127.0.0.1:{server.port}"], "mx", "many.example.test")) == 100


def test_a_server_that_is_not_there_costs_no_time(server: NameServer) -> None:
    nobody = f"127.0.0.1:{free_udp_port()}"
    expected = {"192.0.2.3"}
    assert ask([nobody, f"127.0.0.1:{server.port}"], "addresses", "plain.example.test", 2.0) == expected
    resolver = Resolver([nobody], 60.0)
    answer = asyncio.run(asyncio.wait_for(resolver.mx("example.test"), 5))
    assert isinstance(answer, Trouble) and "refused" in answer.reason


def test_a_server_that_says_nothing_is_given_up_after_the_time_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = Resolver([f"127.0.0.1:{silent.getsockname()[1]}"], 0.2)
        answer = asyncio.run(asyncio.wait_for(resolver.mx("example.test"), 5))
    assert isinstance(answer, Trouble) and "timed out" in answer.reason


def forge(query: bytes) -> list[bytes]:
    """What an attacker and a broken server send before the right answer: D-07."""
    asked = dns.message.from_wire(query)
    wrong_id = dns.message.make_response(asked)
    wrong_id.id ^= 1
    wrong_id.set_rcode(dns.rcode.NXDOMAIN)
    wrong_question = dns.message.make_response(dns.message.make_query("other.test", "MX", id=asked.id))
    wrong_question.set_rcode(dns.rcode.NXDOMAIN)
    pointer_to_itself = query[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00" + b"\xc0\x0c" + b"\0\x0f\0\x01" * 2
    return [b"", b"\xff" * 11, query, wrong_id.to_wire(), wrong_question.to_wire(), pointer_to_itself, b"\0" * 9000]


def test_forged_and_broken_replies_are_not_believed() -> None:
    authority = Authority({"example.test": {"MX": [(10, "mx.example.test")]}})

    class Liar(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            for lie in [*forge(data), authority.answer_wire(data)]:
                self.transport.sendto(lie, addr)

    async def ask_liar() -> Any:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        answer = await Resolver([f"127.0.0.1:{port}"], 5.0).mx("example.test")
        transport.close()
        return answer

    answer = asyncio.run(ask_liar())
    assert isinstance(answer, Found) and answer.values == (MxRecord(10, "mx.example.test"),)


def test_a_plan_from_a_real_zone(name_server: Callable[[dict[str, str]], NameServer]) -> None:
    server = name_server(ZONES)
    people = tuple(
        Recipient(parse_address(f"anna@{name}"))
        for name in ("example.test", "alias.example.test", "six.example.test", "null.example.test", "gone.example.test",
                     "broken.test")
    )  # fmt: skip
    table = RoutingTable("mail.home.test", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq")
    resolver = Resolver([f"127.0.0.1:{server.port}"], 5.0)
    plan = asyncio.run(EndToEndPlanner(resolver, table).plan(Envelope("7Q2M-K4ZC", None, people, 0.0), people))
    assert {leg.destination: leg.recipients for leg in plan.legs} == {
        "mx1.example.test": people[:2],
        "six.example.test": people[2:3],
    }
    (first, _) = plan.legs
    assert [(hop.host, hop.addresses) for hop in first.hops] == [
        ("mx1.example.test", ("192.0.2.10", "2001:db8::10")),
        ("mx2.example.test", ("2001:db8::20",)),
    ]
    assert [plan.settled[person].reply.enhanced for person in people[3:]] == ["5.1.10", "5.1.2", "4.4.3"]


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_demo_s_name_server_over_both_families_and_both_transports(address: str, tmp_path: Path) -> None:
    table = {
        "partner.test": {"MX": [(10, "mx.partner.test")]},
        "many.test": {"A": [f"127.0.{high}.{low}" for high in range(2) for low in range(250)]},
    }

    async def ask_demo() -> tuple[Any, Any, Any]:
        authority = Authority(table)
        port = free_port(address) if address == "127.0.0.1" else free_port_six()
        await authority.listen(address, port)
        server = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        resolver = Resolver([server], 5.0, hosts=HostsFile(tmp_path / "none"))
        answers = (
            await resolver.mx("partner.test"),
            await resolver.addresses("many.test"),
            await resolver.mx("gone.test"),
        )
        authority.close()
        return answers

    partner, many, gone = asyncio.run(ask_demo())
    assert isinstance(partner, Found) and partner.values == (MxRecord(10, "mx.partner.test"),)
    assert isinstance(many, Found) and len(many.values) == 500
    assert isinstance(gone, NoSuchName)


def free_port_six() -> int:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])
