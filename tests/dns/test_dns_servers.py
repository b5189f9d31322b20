"""shared/dns/servers.py: the spelling of name servers, resolv.conf(5), and whose turn it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.dns.servers import Server, ServerList, parse_resolv_conf, parse_server


@pytest.mark.parametrize(
    ("text", "server", "shown"),
    [
        ("127.0.0.1", Server("127.0.0.1", 53), "127.0.0.1:53"),
        ("127.0.0.1:5353", Server("127.0.0.1", 5353), "127.0.0.1:5353"),
        ("::1", Server("::1", 53), "[::1]:53"),
        ("[::1]", Server("::1", 53), "[::1]:53"),
        ("[::1]:5353", Server("::1", 5353), "[::1]:5353"),
    ],
)
def test_a_server_is_an_address_with_or_without_a_port(text, server, shown):
    assert parse_server(text) == server
    assert str(server) == shown


@pytest.mark.parametrize(
    "text",
    ["dns.example", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:\u0665", "[::1", "[::1]53",
     "[::1]:", "[127.0.0.1", "1.2.3", "::1::", ""],
)  # fmt: skip
def test_what_is_no_server_is_said_in_words(text):
    with pytest.raises(ValueError, match="is no name server"):
        parse_server(text)


def test_loopback_is_told_from_the_rest():
    assert Server("127.0.0.53", 53).is_loopback and Server("::1", 5353).is_loopback
    assert not Server("192.0.2.1", 53).is_loopback


def test_resolv_conf_is_read_as_the_c_library_reads_it():
    lines = [
        "# comment",
        "search example.org",
        "nameserver 192.0.2.1",
        "nameserver ::1 # x",
        "nameserver",
        "nameserver x",
    ]
    assert parse_resolv_conf(lines) == (Server("192.0.2.1", 53), Server("::1", 53))


def test_resolv_conf_is_followed_when_it_changes(tmp_path: Path):
    path = tmp_path / "resolv.conf"
    servers = ServerList((), path)
    assert servers.current() == (Server("127.0.0.1", 53),)
    path.write_text("nameserver 192.0.2.1\n")
    assert servers.current() == (Server("192.0.2.1", 53),)
    path.write_text("nameserver 192.0.2.2\n")
    os.utime(path, (1, 1))
    assert servers.current() == (Server("192.0.2.2", 53),)


def test_empty_texts_mean_resolv_conf_and_a_wrong_one_is_refused_at_once(tmp_path: Path):
    assert ServerList(("",), tmp_path / "none").current() == (Server("127.0.0.1", 53),)
    with pytest.raises(ValueError):
        ServerList(("nonsense",))


def test_a_silent_server_goes_to_the_end_of_the_line():
    servers = ServerList(("127.0.0.1", "127.0.0.2", "127.0.0.3"))
    servers.demote(Server("127.0.0.1", 53))
    assert [server.address for server in servers.current()] == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    servers.demote(Server("192.0.2.9", 53))
    assert [server.address for server in servers.current()] == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
