"""The blacklist in memory and on disk: who is found, what several writers see of each other, what a crash leaves."""

from __future__ import annotations

import ipaddress
import json
import math
import os
from pathlib import Path

import pytest

from shared.state.blacklist import FOREVER, Blacklist, Entry, network_of
from shared.state.blacklist_file import BlacklistFile


class Hours:
    """Two clocks that go together."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hours() -> Hours:
    return Hours()


def open_file(folder: Path, hours: Hours, by: str = "mercury-s") -> BlacklistFile:
    return BlacklistFile(folder, hours, hours, by)


def entry(network: str, until: float = FOREVER) -> Entry:
    return Entry(ipaddress.ip_network(network), "why", 0.0, until)


@pytest.mark.parametrize(
    ("network", "address", "is_found"),
    [
        ("192.0.2.1/32", "192.0.2.1", True),
        ("192.0.2.1/32", "192.0.2.2", False),
        ("192.0.2.0/24", "192.0.2.99", True),
        ("192.0.2.0/24", "::ffff:192.0.2.99", True),
        ("2001:db8:1:2::/64", "2001:db8:1:2:3:4:5:6", True),
        ("2001:db8:1:2::/64", "2001:db8:1:3::1", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("fe80::/64", "fe80::1%eth0", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("192.0.2.1/32", "no address", False),
    ],
)
def test_who_is_on_it(network: str, address: str, is_found: bool) -> None:
    blacklist = Blacklist()
    blacklist.put(entry(network))
    assert (blacklist.find(address, 0.0) is not None) == is_found
    blacklist.drop(ipaddress.ip_network(network))
    assert blacklist.find(address, 0.0) is None


def test_what_is_over_is_not_found_and_a_wider_entry_still_counts() -> None:
    blacklist = Blacklist()
    blacklist.put(entry("192.0.2.1/32", 10.0))
    blacklist.put(entry("192.0.2.0/24", 20.0))
    assert blacklist.find("192.0.2.1", 9.0) == entry("192.0.2.1/32", 10.0)
    assert blacklist.find("192.0.2.1", 10.0) == entry("192.0.2.0/24", 20.0)
    assert blacklist.forget_past(15.0) == 1
    assert len(blacklist) == 1


def test_a_full_list_gives_up_what_ends_first() -> None:
    blacklist = Blacklist(most=2)
    for last, until in enumerate((30.0, 10.0, 20.0)):
        blacklist.put(entry(f"192.0.2.{last}/32", until))
    assert sorted(str(known.network) for known in blacklist) == ["192.0.2.0/32", "192.0.2.2/32"]


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
    ],
)
def test_what_counts_as_one_client(text: str, network: str) -> None:
    assert network_of(text) == ipaddress.ip_network(network)


@pytest.mark.parametrize("text", ["", "pc.example", "192.0.2.1/24", "192.0.2", "1/2/3"])
def test_what_is_no_client(text: str) -> None:
    with pytest.raises(ValueError):
        network_of(text)


def test_it_outlives_a_restart(tmp_path: Path, hours: Hours) -> None:
    open_file(tmp_path, hours).add("192.0.2.1", "too many failed logins", 60)
    again = open_file(tmp_path, hours)
    found = again.find("192.0.2.1")
    assert found == Entry(
        network_of("192.0.2.1"), "too many failed logins", hours.seconds, hours.seconds + 60, "mercury-s"
    )
    hours.seconds += 61
    assert again.find("192.0.2.1") is None


def test_two_processes_see_each_other_within_a_second(tmp_path: Path, hours: Hours) -> None:
    daemon, operator = open_file(tmp_path, hours), open_file(tmp_path, hours, "root")
    assert daemon.find("192.0.2.1") is None
    operator.add("192.0.2.1", "by hand", None)
    hours.seconds += 1.0
    found = daemon.find("192.0.2.1")
    assert found is not None and math.isinf(found.until) and found.by == "root"
    assert operator.remove("192.0.2.1") is not None
    hours.seconds += 1.0
    assert daemon.find("192.0.2.1") is None
    assert operator.remove("192.0.2.1") is None


def test_a_file_taken_away_is_an_empty_list(tmp_path: Path, hours: Hours) -> None:
    daemon = open_file(tmp_path, hours)
    daemon.add("192.0.2.1", "x", None)
    hours.seconds += 1.0
    assert daemon.find("192.0.2.1")
    (tmp_path / "blacklist.jsonl").unlink()
    hours.seconds += 1.0
    assert daemon.find("192.0.2.1") is None


def test_lines_that_make_no_sense_are_skipped_and_a_torn_one_costs_no_other(tmp_path: Path, hours: Hours) -> None:
    path = tmp_path / "blacklist.jsonl"
    good = {"network": "192.0.2.1/32", "until": None, "added": 1, "reason": "x"}
    lines = ["nonsense", "[]", "{}", '{"network": 7}', json.dumps({**good, "until": "soon"}), json.dumps(good)]
    path.write_text("\n".join(lines) + '\n{"network": "192.0')
    file = open_file(tmp_path, hours)
    assert [str(known.network) for known in file.entries()] == ["192.0.2.1/32"]
    file.add("192.0.2.2", "y", None)
    assert [str(known.network) for known in open_file(tmp_path, hours).entries()] == ["192.0.2.1/32", "192.0.2.2/32"]


def test_history_does_not_grow_without_end(tmp_path: Path, hours: Hours) -> None:
    file = open_file(tmp_path, hours)
    for number in range(5000):
        file.add(f"192.0.2.{number % 3}", f"round {number}", 60)
        if number % 500 == 0:
            hours.seconds += 1.0
            file.find("192.0.2.0")
    assert len((tmp_path / "blacklist.jsonl").read_bytes().splitlines()) < 2500
    again = open_file(tmp_path, hours)
    assert {known.reason for known in again.entries()} == {"round 4997", "round 4998", "round 4999"}
    assert not (tmp_path / "blacklist.part").exists()


def test_a_disk_that_fails_is_told_and_the_memory_still_serves(tmp_path: Path, hours: Hours) -> None:
    told: list[OSError] = []
    file = BlacklistFile(tmp_path / "gone", hours, hours, "mercury-s", told.append)
    file.add("192.0.2.1", "x", None)
    assert len(told) == 1
    assert file.find("192.0.2.1") is not None


def test_the_command_is_told_by_an_exception(tmp_path: Path, hours: Hours) -> None:
    with pytest.raises(OSError):
        open_file(tmp_path / "gone", hours).add("192.0.2.1", "x", None)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, hours: Hours) -> None:
    (tmp_path / "elsewhere").write_text("")
    os.symlink(tmp_path / "elsewhere", tmp_path / "blacklist.jsonl")
    with pytest.raises(OSError):
        open_file(tmp_path, hours).add("192.0.2.1", "x", None)
    assert (tmp_path / "elsewhere").read_text() == ""
