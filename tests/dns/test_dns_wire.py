"""shared/dns/wire.py: which datagrams are replies (D-07); the sockets are tested in tests/endtoend."""

from __future__ import annotations

import dns.flags
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dns.wire import read_reply

QUERY = dns.message.make_query("example.org", "MX", id=4711, use_edns=0, payload=1232)
REPLY = dns.message.make_response(QUERY)
REPLY.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "MX", "10 mx.example.org."))
WIRE = REPLY.to_wire()


def test_the_reply_is_read():
    assert read_reply(WIRE, QUERY) == REPLY


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        WIRE[:-1],
        WIRE + b"\0",
        b"\x00\x01" + WIRE[2:],
        QUERY.to_wire(),
        dns.message.make_response(dns.message.make_query("example.net", "MX", id=4711)).to_wire(),
        dns.message.make_response(dns.message.make_query("example.org", "A", id=4711)).to_wire(),
        WIRE[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x0f\x00\x01",
        b"\xff" * 65535,
    ],
    ids=["nothing", "too short", "too long", "id", "the query itself", "name", "type", "pointer to itself", "64 kB"],
)
def test_what_is_no_reply_is_passed_over(wire):
    assert read_reply(wire, QUERY) is None


def test_a_cut_reply_is_told_and_a_forged_cut_one_is_not():
    cut = dns.message.make_response(QUERY)
    cut.flags |= dns.flags.TC
    with pytest.raises(dns.message.Truncated):
        read_reply(cut.to_wire(), QUERY)
    assert read_reply(b"\x00\x01" + cut.to_wire()[2:], QUERY) is None


@settings(derandomize=True)
@given(st.binary(max_size=200), st.integers(0, len(WIRE)), st.integers(0, 20))
def test_no_octets_do_harm(octets, at, skipped):
    wire = WIRE[:at] + octets + WIRE[at + skipped :]
    try:
        reply = read_reply(wire, QUERY)
    except dns.message.Truncated:
        return
    assert reply is None or reply.id == QUERY.id
