"""shared/dns/names.py: D-06, what may leave the room as a host name."""

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dns.names import host_name, literal_address, question_name


def wire(*labels: bytes) -> dns.name.Name:
    return dns.name.Name((*labels, b""))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (wire(b"MX1", b"Example", b"ORG"), "mx1.example.org"),
        (wire(b"xn--bcher-kva", b"example"), "xn--bcher-kva.example"),
        (wire(b"1and1", b"example"), "1and1.example"),
        (wire(b"a" * 63, b"example"), "a" * 63 + ".example"),
        (wire(), "."),
    ],
)
def test_a_host_name_leaves_in_lower_case_without_the_last_dot(name, text):
    assert host_name(name) == text


@pytest.mark.parametrize(
    "name",
    [
        wire(b"mx 1", b"example"),
        wire(b"mx\0", b"example"),
        wire(b"..", b"example"),
        wire(b"a.b", b"example"),
        wire(b"..", b"..", b"etc", b"passwd"),
        wire(b"a/b", b"example"),
        wire(b"mx_1", b"example"),
        wire(b"mx\xe9", b"example"),
        wire(b"mx\r\n", b"example"),
        wire(b"mx\n"),
        wire(b"<script>", b"example"),
        wire(b"-mx", b"example"),
        wire(b"mx-", b"example"),
        wire(b"192", b"0", b"2", b"1"),
        wire(b"[192", b"0", b"2", b"1]"),
        wire(b"2001:db8::1"),
        wire(b"*", b"example"),
    ],
)
def test_what_is_no_host_name_stays(name):
    assert host_name(name) is None


@settings(derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=5))
def test_whatever_octets_come_only_harmless_characters_leave(labels):
    text = host_name(wire(*labels))
    assert text is None or (set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") and ".." not in text)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Example.ORG", "Example.ORG."),
        ("example.org.", "example.org."),
        ("bücher.example", "xn--bcher-kva.example."),
    ],
)
def test_a_question_is_absolute_and_in_a_labels(text, asked):
    name = question_name(text)
    assert name is not None and name.to_text().lower() == asked.lower()


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a..b", "a b.example", "a" * 64 + ".example", ".".join(["a" * 60] * 5), "a\0.example", "\u2488.example",
     "a\\.b.example", "a/b.example", "10.0.0.1"],
)  # fmt: skip
def test_what_cannot_be_in_the_dns_is_not_asked_for(text):
    assert question_name(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", None),
        ("example.org", None),
        ("192.0.2.1 ", None),
        ("192.0.2", None),
        ("3221225985", None),
        ("", None),
    ],
)
def test_addresses_are_told_from_names(text, address):
    assert literal_address(text) == address
