"""shared/dns/hosts.py: what is answered without asking anybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.dns.hosts import HostsFile, parse_hosts

TEXT = """\
# a comment
127.0.0.1 localhost
192.0.2.1\tMail.Example.org mail  # the server
2001:db8::1 mail.example.org
192.0.2.1 mail
not-an-address name
fe80::1%eth0 scoped

"""


def test_names_have_the_addresses_of_the_file_in_its_order():
    names = parse_hosts(TEXT.splitlines())
    assert names["mail.example.org"] == ("192.0.2.1", "2001:db8::1")
    assert names["mail"] == ("192.0.2.1",)
    assert "name" not in names and "scoped" not in names


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("mail.EXAMPLE.org.", ("192.0.2.1", "2001:db8::1")),
        ("other.example", ()),
        ("192.0.2.9", ("192.0.2.9",)),
        ("2001:DB8::9", ("2001:db8::9",)),
        ("localhost", ("::1", "127.0.0.1")),
        ("deep.below.LOCALHOST.", ("::1", "127.0.0.1")),
    ],
)
def test_local_answers(tmp_path: Path, host, addresses):
    path = tmp_path / "hosts"
    path.write_text(TEXT + "192.0.2.66 localhost deep.below.localhost\n")
    assert HostsFile(path).addresses(host) == addresses


def test_the_file_is_followed_when_it_changes_or_goes(tmp_path: Path):
    path = tmp_path / "hosts"
    hosts = HostsFile(path)
    assert hosts.addresses("a.example") == ()
    path.write_text("192.0.2.1 a.example\n")
    assert hosts.addresses("a.example") == ("192.0.2.1",)
    path.write_text("192.0.2.2 a.example\n")
    os.utime(path, (1, 1))
    assert hosts.addresses("a.example") == ("192.0.2.2",)
    path.unlink()
    assert hosts.addresses("a.example") == ()
