"""Mailbox addresses: what is one, what is not, and that text and value are the same thing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address, AddressError, parse_address, parse_domain

GOOD = {
    "anna@hq.example": ("anna", "hq.example"),
    "Anna@HQ.Example": ("Anna", "hq.example"),
    "a.b+c=d@x": ("a.b+c=d", "x"),
    '"a b"@x.example': ("a b", "x.example"),
    '"a\\"b"@x.example': ('a"b', "x.example"),
    '"al\\ice"@x.example': ("alice", "x.example"),
    '"v@remote.example"@test.example': ("v@remote.example", "test.example"),
    "a@[192.0.2.1]": ("a", "[192.0.2.1]"),
    "a@[ipv6:2001:DB8::1]": ("a", "[IPv6:2001:db8::1]"),
    "jörg@bücher.example": ("jörg", "bücher.example"),
    "a@x\uff0ey": ("a", "x.y"),
    "a@\uff34EST\u3002example": ("a", "test.example"),
    "a@STRASSE.example": ("a", "strasse.example"),
    "a@Straße.example": ("a", "straße.example"),
}
BAD = [
    "", "a", "@x", "a@", "a@@b", "a@b@c", "a..b@x", ".a@x", "a.@x", "a b@x", "a@x y", "a@-x", "a@x-", "a@x..y", "a@x.",
    "a@x_y", '""@x', '"a@x', '"a"b@x', "a\r@x", "a@x\n", "a\0@x", "<a@x>", "a@[999.0.0.1]", "a@[IPv6:zz]", "a@[]",
    "a" * 65 + "@x", "ö" * 33 + "@x", "a@" + "x." * 128 + "y", "a@" + "x" * 64, "a\x01@x", "a@\u3002x", "a@x\uff0e", "a@x\uff3fy", "a@x\u2488com", "a,b@x", "a:b@x",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_addresses(text: str) -> None:
    address = parse_address(text)
    assert (address.local, address.domain) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_no_addresses(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


def test_domains_are_compared_as_the_dns_knows_them() -> None:
    assert parse_address("a@Bücher.example").ascii_domain == parse_address("a@xn--bcher-kva.example").ascii_domain
    assert parse_address("a@test.example").ascii_domain != parse_address("a@tést.example").ascii_domain


def test_what_is_not_seen_is_not_part_of_a_domain() -> None:
    """UTS 46 §4: a zero-width space in the middle of a name that was copied from a web page."""
    assert parse_domain("te\u200bst.example") == "test.example"
    with pytest.raises(AddressError):
        parse_domain("te\u200cst.example")


LOCAL = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


@settings(derandomize=True, max_examples=300)
@given(LOCAL)
def test_what_is_written_is_read_again(local: str) -> None:
    address = Address(local, "x.example")
    assert parse_address(str(address)) == address


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=40))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address
    assert not any(character in str(address) for character in "\r\n\0")


def test_what_unicode_would_fold_is_another_name() -> None:
    assert parse_address("\u212aeep@x.example").key != parse_address("keep@x.example").key
    assert parse_address("anna@\u212aeep.example").key == parse_address("anna@keep.example").key, (
        "UTS 46, in a domain"
    )
