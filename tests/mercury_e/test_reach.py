"""mercury_e/reach.py: D-02 as a table, and how few addresses are shared out among hosts."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_e.reach import MOST_ADDRESSES, Reach, pick_addresses
from shared.vantage.public_space import is_public

FORBIDDEN = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.255", "169.254.169.254", "192.0.0.8", "198.18.0.1", "192.88.99.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "::127.0.0.1", "64:ff9b::7f00:1", "100::1", "fe80::1",
    "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001::1", "2002:7f00:1::1", "4000::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "172.15.255.255", "172.32.0.0", "192.0.2.1", "192.167.0.1", "198.17.0.1", "198.20.0.0", "223.255.255.255",
    "2001:4860::1", "2606:4700::1", "2001:db8::1", "2003::1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_stranger_cannot_send_us_there(address):
    assert not is_public(address)
    assert not Reach().is_allowed(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_open(address):
    assert is_public(address)
    assert Reach().is_allowed(address)


def test_the_operator_opens_networks_of_either_family_and_no_more():
    reach = Reach(allowed=(ip_network("10.1.0.0/16"), ip_network("::1/128")))
    assert reach.is_allowed("10.1.2.3") and reach.is_allowed("::1")
    assert not reach.is_allowed("10.2.0.1") and not reach.is_allowed("::ffff:10.1.2.3")


def test_own_addresses_are_known_in_any_spelling_and_loopback_is_none():
    reach = Reach(own={"2001:DB8:0:0::9", "127.0.0.1", "192.0.2.9"})
    assert reach.is_own("2001:db8::9") and reach.is_own_any(["192.0.2.1", "192.0.2.9"])
    assert not reach.is_own("127.0.0.1") and not reach.is_own_any([])


@pytest.mark.parametrize(
    ("own", "order"),
    [
        ((), ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"]),
        (("fe80::9", "fd00::9", "192.0.2.9"), ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"]),
        (("2001:db8::9",), ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]),
    ],
    ids=["no address known", "no IPv6 of the Internet", "with IPv6"],
)
def test_the_families_take_turns(own, order):
    found = ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"]
    assert Reach(own).order(found) == order


def test_two_addresses_a_host_and_five_in_all():
    hosts = [
        ("a", [f"192.0.2.{n}" for n in range(9)]),
        ("b", ["198.51.100.1"]),
        ("c", ["203.0.113.1", "203.0.113.2"]),
    ]
    assert pick_addresses(hosts, Reach()) == [
        ("a", ("192.0.2.0", "192.0.2.1")),
        ("b", ("198.51.100.1",)),
        ("c", ("203.0.113.1", "203.0.113.2")),
    ]


def test_a_single_host_gets_all_five():
    hosts = [("a", [f"192.0.2.{n}" for n in range(200)])]
    assert pick_addresses(hosts, Reach()) == [("a", tuple(f"192.0.2.{n}" for n in range(5)))]


addresses = st.lists(st.ip_addresses().map(str), max_size=8)


@settings(derandomize=True)
@given(st.lists(addresses, max_size=12))
def test_picking_keeps_the_order_wastes_nothing_and_never_dials_the_forbidden(lists):
    hosts = [(f"mx{number}", found) for number, found in enumerate(lists)]
    reach = Reach()
    picked = pick_addresses(hosts, reach)
    names = [name for name, _ in hosts]
    assert [name for name, _ in picked] == [name for name in names if name in dict(picked)]
    dialled = [address for _, chosen in picked for address in chosen]
    assert all(map(is_public, dialled))
    usable = sum(len(reach.order(found)) for _, found in hosts)
    assert len(dialled) == min(MOST_ADDRESSES, usable)
    assert all(list(chosen) == reach.order(dict(hosts)[name])[: len(chosen)] for name, chosen in picked)
