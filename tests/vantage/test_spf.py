"""shared/vantage/spf.py: RFC 7208 with zones in a table."""

from __future__ import annotations

import asyncio

import pytest
from fakes.zones import FakeResolver

from shared.dns.answers import Trouble
from shared.vantage.spf import Result, check_spf

HERE, SIX = "192.0.2.25", "2001:db8::25"


def spf(record: str | list[str], zone: dict | None = None, address: str = HERE) -> Result:
    records = [record] if isinstance(record, str) else record
    names = FakeResolver({"d.example": {"TXT": records}, **(zone or {})})
    return asyncio.run(check_spf(names, address, "d.example", "anna.b@d.example", "mail.d.example")).result


ZONE = {
    "mx.d.example": {"A": [HERE], "AAAA": [SIX]},
    "other.example": {"A": ["192.0.2.26"], "MX": [(10, "mx.d.example"), (5, "gone.example")]},
    "yes.example": {"TXT": ["v=spf1 ip4:192.0.2.0/28 ip4:192.0.2.16/28 -all"]},
    "no.example": {"TXT": ["v=spf1 -all"]},
    "broken.example": {"TXT": ["v=spf1 nonsense"]},
    "down.example": Trouble("SERVFAIL"),
    "25.2.0.192.in-addr.arpa": {"PTR": ["evil.example", "host.ptr.example"]},
    "host.ptr.example": {"A": [HERE]},
    "anna.b.d.example": {"A": ["127.0.0.2"]},
    "anna._at.d.example": {"A": ["127.0.0.2"]},
    "25.2.0.192.in-addr.example": {"A": ["127.0.0.2"]},
}


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", Result.PASS),
        ("V=SPF1 IP4:192.0.2.0/24 -ALL", Result.PASS),
        ("v=spf1 ip4:192.0.2.26 -all", Result.FAIL),
        ("v=spf1 ip4:192.0.2.26 ~all", Result.SOFTFAIL),
        ("v=spf1 ?all", Result.NEUTRAL),
        ("v=spf1", Result.NEUTRAL),
        ("v=spf1 ip6:2001:db8::/32 -all", Result.FAIL),
        ("v=spf1 a:mx.d.example -all", Result.PASS),
        ("v=spf1 a:other.example -all", Result.FAIL),
        ("v=spf1 a:other.example/24 -all", Result.PASS),
        ("v=spf1 a:other.example//64 -all", Result.FAIL),
        ("v=spf1 mx:other.example -all", Result.PASS),
        ("v=spf1 -mx:other.example +all", Result.FAIL),
        ("v=spf1 include:yes.example -all", Result.PASS),
        ("v=spf1 include:no.example ?all", Result.NEUTRAL),
        ("v=spf1 include:gone.example +all", Result.PERMERROR),
        ("v=spf1 include:broken.example +all", Result.PERMERROR),
        ("v=spf1 include:down.example +all", Result.TEMPERROR),
        ("v=spf1 a:down.example +all", Result.TEMPERROR),
        ("v=spf1 redirect=yes.example", Result.PASS),
        ("v=spf1 redirect=gone.example", Result.PERMERROR),
        ("v=spf1 ?all redirect=no.example", Result.NEUTRAL),
        ("v=spf1 ptr:ptr.example -all", Result.PASS),
        ("v=spf1 ptr:evil.example -all", Result.FAIL),
        ("v=spf1 exists:%{l}.%{d} -all", Result.PASS),
        ("v=spf1 exists:%{l1r}._at.%{d2} -all", Result.PASS),
        ("v=spf1 exists:%{ir}.%{v}.example -all", Result.PASS),
        ("v=spf1 exists:%{i}.example -all", Result.FAIL),
        ("v=spf1 exp=why.example unknown=%{x} ip4:192.0.2.25", Result.PASS),
    ],
)
def test_what_a_record_says(record: str, result: Result) -> None:
    assert spf(record, ZONE) is result


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 +all nonsense",
        "v=spf1 ip4:192.0.2.25 all:x",
        "v=spf1 +all ip4:not-a-network",
        "v=spf1 +all ip4:2001:db8::/32",
        "v=spf1 +all a:x.example/33",
        "v=spf1 +all include",
        "v=spf1 +all include:x.example/24",
        "v=spf1 exists:%{z}.example",
        "v=spf1 exists:100%",
        "v=spf1 redirect=a.example redirect=b.example",
        "v=spf1 +all redirect=",
    ],
)
def test_a_term_that_is_wrong_spoils_the_record_wherever_it_stands(record: str) -> None:
    assert spf(record) is Result.PERMERROR


def test_records_that_are_none_and_two_that_are() -> None:
    assert spf(["v=spf10 +all", "spf2.0/pra +all", "words"]) is Result.NONE
    assert spf(["v=spf1 +all", "v=spf1 -all"]) is Result.PERMERROR
    assert spf(["words", "v=spf1 -all"]) is Result.FAIL


def test_ipv6() -> None:
    assert spf("v=spf1 ip6:2001:db8::/64 -all", address=SIX) is Result.PASS
    assert spf("v=spf1 ip4:0.0.0.0/0 -all", address=SIX) is Result.FAIL
    assert spf("v=spf1 a:mx.d.example -all", ZONE, SIX) is Result.PASS
    nibbles = ".".join("20010db8000000000000000000000025")
    zone = {f"{nibbles}.ip6.example": {"A": ["127.0.0.2"]}}
    assert spf("v=spf1 exists:%{i}.%{v}.example -all", zone, SIX) is Result.PASS


def chain(length: int) -> dict:
    """i1 includes i2 includes … and the last one passes."""
    zone: dict = {f"i{n}.example": {"TXT": [f"v=spf1 include:i{n + 1}.example -all"]} for n in range(1, length)}
    return {**zone, f"i{length}.example": {"TXT": ["v=spf1 +all"]}}


def test_ten_look_ups_and_not_one_more() -> None:
    assert spf("v=spf1 include:i1.example -all", chain(10)) is Result.PASS
    assert spf("v=spf1 include:i1.example -all", chain(11)) is Result.PERMERROR


def test_a_record_that_includes_itself_ends() -> None:
    assert spf("v=spf1 include:d.example -all") is Result.PERMERROR
    assert spf("v=spf1 redirect=d.example") is Result.PERMERROR


def test_two_look_ups_may_find_nothing_and_not_three() -> None:
    assert spf("v=spf1 a:g1.example a:g2.example +all") is Result.PASS
    assert spf("v=spf1 a:g1.example a:g2.example a:g3.example +all") is Result.PERMERROR


def test_ten_mail_hosts_and_not_one_more() -> None:
    def zone(count: int) -> dict:
        hosts = {f"m{n}.example": {"A": ["192.0.2.99"]} for n in range(count)}
        return {**hosts, "many.example": {"MX": [(n, f"m{n}.example") for n in range(count)]}}

    assert spf("v=spf1 mx:many.example -all", zone(10)) is Result.FAIL
    assert spf("v=spf1 mx:many.example -all", zone(11)) is Result.PERMERROR
