"""The octets of LDAP: those of the standard's tools, and that no other octets break the reader."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.auth import ldap_wire as wire
from shared.config.directory_filter import parse_filter


def test_a_bind_is_the_one_of_every_client() -> None:
    expected = bytes.fromhex("3016020101 6011 020103 0404636e3d78 8006736563726574".replace(" ", ""))
    assert wire.bind(1, "cn=x", "secret") == expected


def test_a_search_holds_its_filter() -> None:
    question = wire.search(2, "dc=x", parse_filter("(&(mail=a)(!(uid=*)))"), "mail", 5)
    assert bytes.fromhex("a013a30904046d61696c040161a2058703756964") in question.replace(b"\xa0\x12", b"\xa0\x13")
    assert wire.size_of(question[:2]) == len(question)


def test_long_parts_have_long_lengths() -> None:
    question = wire.bind(300, "x" * 200, "y" * 70000)
    assert wire.size_of(question[:6]) == len(question)
    assert wire.size_of(question[:3]) is None


def test_a_result_is_read() -> None:
    assert wire.parse(bytes.fromhex("300c02010161070a013104000400")) == (1, wire.Result(49))


def test_an_entry_is_read() -> None:
    attributes = bytes.fromhex("3012 0404 4d61696c 310a 0401 61 0401 62 0402 6363".replace(" ", ""))
    attributes = b"\x30\x0c\x04\x04Mail\x31\x04\x04\x01a\x04\x00"[:14]
    entry = b"\x04\x04cn=x" + b"\x30" + bytes([len(attributes)]) + attributes
    message = b"\x02\x01\x02" + b"\x64" + bytes([len(entry)]) + entry
    assert wire.parse(b"\x30" + bytes([len(message)]) + message) == (2, wire.Entry("cn=x", {"mail": "a"}))


@pytest.mark.parametrize("head", [b"\x31\x00", b"\x30\x80", b"\x30\x85" + b"\xff" * 5, b"\x30\x84\xff\xff\xff\xff"])
def test_a_head_that_makes_no_sense_is_refused(head: bytes) -> None:
    with pytest.raises(wire.WireFault):
        wire.size_of(head)


@settings(derandomize=True, max_examples=400)
@given(st.binary(max_size=60))
def test_no_octets_break_the_reader(octets: bytes) -> None:
    try:
        wire.parse(b"\x30" + bytes([len(octets)]) + octets)
    except wire.WireFault:
        pass
