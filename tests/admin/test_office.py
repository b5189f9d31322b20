"""What every noun shares, and the small nouns: config, route, status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk

from shared.admin.command import NOUNS
from shared.admin.output import age, moment, octets, when
from shared.routing.lane import Lane
from shared.service.lock import InstanceLock, lock_path


def test_config_check(desk: Desk) -> None:
    done = desk.run("config", "check")
    assert done.exit_code == 0 and "no errors" in done.stdout
    path = desk.root / "mercury.yaml"
    path.write_text(path.read_text().replace("delivery: relay", "delivery: realy").replace("hostname:", "hostnmae:"))
    done = desk.run("config", "check")
    assert done.exit_code == 2 and done.stderr.count(f"{path}:") == 2
    assert desk.run("queue", "list").exit_code == 2
    assert desk.run("queue", "list").stderr.count(f"{path}:") == 2


def test_config_show_has_the_defaults_and_narrows(desk: Desk) -> None:
    everything = json.loads(desk.run("config", "show", "--json").stdout)
    assert everything["hostname"] == "mail.hq.example" and "retry" in everything
    assert "smtp.isp.example" in desk.run("config", "show").stdout
    assert desk.run("config", "show", "hostname").stdout == "mail.hq.example\n"
    assert desk.run("config", "show", "sites.hq.smarthosts.0.port").stdout == "587\n"
    assert desk.run("config", "show", "nothing.here").exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "lane", "hops"),
    [
        (("x@elsewhere.example",), "relay", ["smtp.isp.example:587"]),
        (("x@elsewhere.example", "--site", "branch"), "direct", []),
        (("x@elsewhere.example", "--client", "192.168.2.9"), "direct", []),
        (("x@partner.example",), "direct", []),
        (("x@a.held.example",), "hold", []),
        (("anna@hq.example",), "local", []),
    ],
)
def test_route(desk: Desk, arguments: tuple[str, ...], lane: str, hops: list[str]) -> None:
    said = json.loads(desk.run("route", "--json", "--no-dns", *arguments).stdout)
    assert (said["lane"], said["hops"]) == (lane, hops) and said["reason"]
    text = desk.run("route", "--no-dns", *arguments).stdout
    assert text.startswith(f"{arguments[0]}  ") and f"{lane}: " in text and said["reason"] in text


def test_route_tells_what_the_door_says_to_a_client_of_no_site(desk: Desk) -> None:
    text = desk.run("route", "x@y.example", "--no-dns", "--client", "8.8.8.8").stdout
    assert text.startswith("x@y.example  refused at the door: 550 5.7.1 ")


@pytest.mark.parametrize("wrong", [("no-address",), ("x@y.example", "--site", "moon")])
def test_route_refuses_what_it_does_not_understand(desk: Desk, wrong: tuple[str, ...]) -> None:
    assert desk.run("route", *wrong).exit_code == 2


def test_status_sees_daemons_by_their_locks(desk: Desk) -> None:
    desk.put("7Q2M-K4ZC", Lane.RELAY)
    lock = InstanceLock(lock_path(desk.spool.root, "mercury-c"), "mercury-c")
    lock.take()
    said = json.loads(desk.run("status", "--json").stdout)
    assert said["daemons"]["mercury-c"]["running"] and not said["daemons"]["mercury-s"]["running"]
    assert said["lanes"]["relay"]["entries"] == 1 and said["free"] > 0
    text = desk.run("status").stdout
    assert "MercuryC  running, pid " in text and "MercuryS  not running" in text and "relay     1 entry" in text
    lock.release()


def test_start_up_is_light(tmp_path: Path) -> None:
    """Neither the reactor nor the nouns that were not asked for are loaded."""
    code = (
        "import sys; from shared.admin.command import mercury\n"
        "try: mercury(['queue', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith(('twisted', 'rich', 'shared.admin.demo', 'dns.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_noun_is_there() -> None:
    nouns = {
        "alias",
        "audit",
        "blacklist",
        "completion",
        "config",
        "demo",
        "dkim",
        "find",
        "doctor",
        "login",
        "probe",
        "session",
        "trace",
        "queue",
        "reload",
        "route",
        "sendmail",
        "setup",
        "site",
        "status",
        "top",
        "user",
    }
    assert nouns == set(NOUNS)


def test_sizes_and_times_as_people_read_them() -> None:
    assert [age(s) for s in (0, 59, 60, 3599, 3600, 6720, 86400, 100000)] == [
        "0s", "59s", "1m", "59m", "1h", "1h52m", "1d", "1d03h",
    ]  # fmt: skip
    sizes = (0, 999, 1000, 12_345, 1_023_000, 1_024_000, 50 * 2**20, 7 * 2**30, 2 * 2**40)
    assert [octets(n) for n in sizes] == [
        "0 B", "999 B", "1.0 KiB", "12 KiB", "999 KiB", "1.0 MiB", "50 MiB", "7.0 GiB", "2048 GiB",
    ]  # fmt: skip
    assert [when(at, 1000.0) for at in (1000.5, 1240.0, 400.0)] == ["now", "in 4m", "10m ago"]
    assert moment(1.0625).endswith(":01.062")
