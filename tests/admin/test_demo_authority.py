"""shared/admin/demo/authority.py: the demo's name server, asked in the same process."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from shared.admin.demo.authority import Authority

AUTHORITY = Authority(
    {
        "partner.example": {"MX": [(10, "mx.partner.example"), (20, "mx2.partner.example")]},
        "mx.partner.example": {"A": ["127.0.0.2"], "AAAA": ["::1"]},
        "below.deep.example": {"A": ["127.0.0.3"]},
        "alias.example": {"CNAME": "mx.partner.example"},
        "away.example": {"CNAME": "gone.example"},
        "loop.example": {"CNAME": "loop.example"},
        "ill.example": "SERVFAIL",
        "null.example": {"MX": [(0, ".")]},
        "many.example": {"A": [f"127.0.{high}.{low}" for high in range(4) for low in range(250)]},
    }
)


def ask(name: str, kind: str, **options) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **options)
    wire = AUTHORITY.answer_wire(query.to_wire())
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert query.is_response(reply)
    return reply


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("partner.example", "MX", {"10 mx.partner.example.", "20 mx2.partner.example."}),
        ("PARTNER.example", "MX", {"10 mx.partner.example.", "20 mx2.partner.example."}),
        ("mx.partner.example", "A", {"127.0.0.2"}),
        ("mx.partner.example", "AAAA", {"::1"}),
        ("null.example", "MX", {"0 ."}),
        ("alias.example", "A", {"mx.partner.example.", "127.0.0.2"}),
    ],
)
def test_what_is_in_the_table_is_answered_with_authority(name, kind, records):
    reply = ask(name, kind)
    assert reply.rcode() == dns.rcode.NOERROR and reply.flags & dns.flags.AA
    assert {str(record).lower() for rrset in reply.answer for record in rrset} == records


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("partner.example", "A", dns.rcode.NOERROR),
        ("deep.example", "A", dns.rcode.NOERROR),
        ("gone.example", "MX", dns.rcode.NXDOMAIN),
        ("away.example", "A", dns.rcode.NXDOMAIN),
    ],
)
def test_what_is_not_there_is_denied_with_the_zone_s_soa(name, kind, rcode):
    reply = ask(name, kind)
    assert reply.rcode() == rcode
    assert [rrset.rdtype.name for rrset in reply.authority] == ["SOA"]


def test_a_circle_of_aliases_ends():
    assert len(ask("loop.example", "A").answer) == 1


def test_a_sick_name_is_a_failure():
    assert ask("ill.example", "MX").rcode() == dns.rcode.SERVFAIL


def test_a_large_answer_is_cut_in_a_datagram_and_whole_in_a_stream():
    assert ask("many.example", "A").flags & dns.flags.TC
    wire = AUTHORITY.answer_wire(dns.message.make_query("many.example", "A").to_wire(), stream=True)
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert not reply.flags & dns.flags.TC and len(reply.answer[0]) == 1000


@pytest.mark.parametrize("payload", [None, 100, 512, 4096])
def test_no_datagram_is_larger_than_the_asker_and_we_bear(payload):
    query = dns.message.make_query("many.example", "A", payload=payload, use_edns=payload is not None)
    assert len(AUTHORITY.answer_wire(query.to_wire()) or b"") <= min(max(payload or 0, 512), 1232)


def test_what_is_no_query_for_us_is_refused_or_dropped():
    query = dns.message.make_query("partner.example", "MX")
    assert AUTHORITY.answer_wire(b"") is None
    assert AUTHORITY.answer_wire(b"\0" * 5) is None
    assert AUTHORITY.answer_wire(AUTHORITY.answer(query).to_wire()) is None
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    assert AUTHORITY.answer(chaos).rcode() == dns.rcode.REFUSED
    empty = dns.message.make_query("partner.example", "MX")
    empty.question.clear()
    assert AUTHORITY.answer(empty).rcode() == dns.rcode.FORMERR
    notify = dns.message.make_query("partner.example", "MX")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert AUTHORITY.answer(notify).rcode() == dns.rcode.NOTIMP


def test_a_wrong_table_is_refused_at_once():
    with pytest.raises(dns.rcode.UnknownRcode):
        Authority({"a.example": "NOSUCHCODE"})
