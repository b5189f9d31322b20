"""mercury_e/interfaces.py: what the kernel tells of this host's addresses."""

from __future__ import annotations

from pathlib import Path

from mercury_e.interfaces import own_addresses, parse_fib_trie, parse_if_inet6

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""
IF_INET6 = """\
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_the_local_leaves_of_the_routing_table_are_ours():
    assert parse_fib_trie(FIB_TRIE.splitlines()) == {"127.0.0.1", "192.0.2.2"}


def test_the_hexadecimal_addresses_are_read():
    assert parse_if_inet6(IF_INET6.splitlines()) == {"fe80::fc:ff:fe00:1", "::1"}


def test_both_families_are_joined_and_a_missing_file_is_no_error(tmp_path: Path):
    (tmp_path / "four").write_text(FIB_TRIE)
    (tmp_path / "six").write_text(IF_INET6)
    assert own_addresses(ipv4=tmp_path / "four", ipv6=tmp_path / "six") == {
        "127.0.0.1", "192.0.2.2", "fe80::fc:ff:fe00:1", "::1",
    }  # fmt: skip
    assert own_addresses(ipv4=tmp_path / "four", ipv6=tmp_path / "none") == {"127.0.0.1", "192.0.2.2"}
    (tmp_path / "six").write_text("not hexadecimal\n")
    assert own_addresses(ipv4=tmp_path / "none", ipv6=tmp_path / "six") == frozenset()


def test_those_that_strangers_see_are_ours_too(tmp_path: Path):
    """Behind a router that translates addresses no interface has them."""
    assert own_addresses(["203.0.113.9"], ipv4=tmp_path / "none", ipv6=tmp_path / "none") == {"203.0.113.9"}
