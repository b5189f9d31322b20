"""Each trouble that `mercury status` knows: made, said in a sentence with the command that helps, gone with its cause."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from desk import ARRIVED, CONFIG, Desk
from fakes.certificates import make_certificate

from shared.history.search import History
from shared.routing.lane import Lane
from shared.service.lock import lock_path
from shared.service.status_file import REFUSED, UNUSABLE_KEYS, WANTS_RESTART

_HOLDER = """
import sys
from pathlib import Path
from shared.service.lock import InstanceLock
lock = InstanceLock(Path(sys.argv[1]), sys.argv[2])
lock.take()
print("held", flush=True)
sys.stdin.read()
"""
Runs = Callable[..., None]


@pytest.fixture
def runs(desk: Desk) -> Iterator[Runs]:
    """Somebody who holds the lock of a daemon, and what the daemon said of itself `ago` seconds ago."""
    held = []

    def run(name: str, status: str = "well", ago: float = 0.0, folder: Path | None = None) -> None:
        (desk.root / "run").mkdir(exist_ok=True)
        path = lock_path(folder or desk.spool.root, name)
        command = [sys.executable, "-c", _HOLDER, str(path), name]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        held.append(holder)
        assert holder.stdout and holder.stdout.readline() == "held\n"
        said = {"pid": holder.pid, "since": 0.0, "at": time.time() - ago, "status": status}
        (desk.root / f"run/{name}.json").write_text(json.dumps(said))

    yield run
    for holder in held:
        holder.communicate()


def troubles(desk: Desk) -> dict[str, str]:
    done = desk.run("status", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["well"] is (not said["troubles"])
    return {one["what"]: one["do"] for one in said["troubles"]}


def the_one(desk: Desk, part: str) -> tuple[str, str]:
    [found] = [(what, do) for what, do in troubles(desk).items() if part in what]
    return found


def test_all_is_well(desk: Desk, runs: Runs) -> None:
    for name in ("mercury-s", "mercury-c", "mercury-e"):
        runs(name)
    assert troubles(desk) == {} and "All is well." in desk.run("status").stdout


def test_a_daemon_that_hangs(desk: Desk, runs: Runs) -> None:
    runs("mercury-c", ago=300.0)
    what, do = the_one(desk, "mercury-c")
    assert "said nothing for 5m" in what and "systemctl restart mercury-c" in do


@pytest.mark.parametrize(
    ("status", "what", "do"),
    [
        (f"{REFUSED}, the old one stays: mercury.yaml:1:1: error", "old configuration", "mercury config check"),
        (f"0 sessions; {WANTS_RESTART} receive.listeners", "receive.listeners", "before it mercury setup"),
        (f"0 sessions; {WANTS_RESTART} spool", "spool", "systemctl restart mercury-s"),
        (f"0 wait; {UNUSABLE_KEYS} a._domainkey.hq.example", "a._domainkey.hq.example", "mercury dkim check"),
    ],
)
def test_what_a_daemon_says_of_itself(desk: Desk, runs: Runs, status: str, what: str, do: str) -> None:
    runs("mercury-s", status)
    assert do in the_one(desk, what)[1]


def test_a_page_that_is_configured_and_does_not_run(desk: Desk, runs: Runs) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (desk.root / "mercury.yaml").write_text(
        f"{CONFIG}web: {{listen: '127.0.0.1:{port}', operators: [anna@hq.example]}}\n"
    )
    assert "systemctl start mercury-web" in the_one(desk, "mercury-web does not run")[1]
    assert "page      not running" in desk.run("status").stdout
    runs("mercury-web", folder=desk.root / "run")
    assert not [what for what in troubles(desk) if "mercury-web" in what]


def test_a_spool_that_is_not_made_yet(desk: Desk) -> None:
    (desk.root / "mercury.yaml").write_text(CONFIG.replace("spool: spool", "spool: nowhere"))
    what, do = the_one(desk, "there is no spool")
    assert "nowhere" in what and "when they start" in do


@pytest.mark.parametrize(
    ("days", "said"), [(-1, "has ended 1 day ago"), (-3, "has ended 3 days ago"), (1, "ends in 1 day")]
)
def test_a_certificate_near_its_end_or_over_it(desk: Desk, tmp_path: Path, days: int, said: str) -> None:
    certificate, key = make_certificate(tmp_path, ["mail.hq.example"], lasts=timedelta(days=days, hours=1))
    (desk.root / "mercury.yaml").write_text(f"{CONFIG}tls: {{certificate: {certificate}, key: {key}}}\n")
    assert said in the_one(desk, "the certificate")[0]


def test_a_paused_site(desk: Desk) -> None:
    assert desk.run("site", "pause", "hq", "--for", "2h", "--reason", "the line is down").exit_code == 0
    what, do = the_one(desk, "paused")
    assert "the line is down" in what and "for 1h59m more" in what and do == "mercury site resume hq"
    desk.run("site", "resume", "hq")
    assert not [what for what in troubles(desk) if "paused" in what]


def test_dead_name_servers_are_said_before_mail_is_late(desk: Desk) -> None:
    (desk.root / "mercury.yaml").write_text(f"{CONFIG}retry: {{warn_after: 3000d}}\n")
    for number, domain in enumerate(("a.example", "b.example")):
        name = desk.put(f"7Q2M-K4Z{number}", Lane.DIRECT, (f"x@{domain}",))
        desk.deferred(
            name, Lane.DIRECT, f"451 4.4.3 the name servers gave no answer for {domain}", recipient=f"x@{domain}"
        )
        assert len([what for what in troubles(desk) if "name servers" in what]) == number, (
            "one domain may be at fault"
        )
    assert the_one(desk, "name servers give no answer for 2 domains")[1].startswith("mercury probe a.example")


def test_a_blocked_port_25(desk: Desk) -> None:
    for number, domain in enumerate(("a.example", "b.example", "c.example")):
        name = desk.put(f"7Q2M-K4Z{number}", Lane.DIRECT, (f"x@{domain}",))
        desk.deferred(name, Lane.DIRECT, f"451 4.4.1 mx.{domain} cannot be reached", recipient=f"x@{domain}")
    assert "mercury doctor" in the_one(desk, "no mail host of 3 domains can be reached")[1]


def test_a_clock_that_was_put_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("7Q2M-K4ZC", Lane.RELAY)
    monkeypatch.setattr(time, "time", lambda: ARRIVED - 86400)
    assert "timedatectl" in the_one(desk, "clock")[1]


def test_words_of_strangers_stand_in_no_command(desk: Desk) -> None:
    name = desk.put("7Q2M-K4ZC", Lane.RELAY)
    desk.deferred(name, Lane.RELAY, "451 4.7.1 '; rm -rf / #" + "x" * 400)
    what, do = the_one(desk, "rm -rf")
    assert do == "mercury queue list --error '451 4.7.1'" and len(what) < 200


def test_other_disks_are_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def without_files(path: str) -> os.statvfs_result:
        found = list(real(path))
        found[5], found[7] = 10_000, 12  # f_files, f_favail
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", without_files)
    assert "only 12 more files can be made" in the_one(desk, "more files")[0]


def test_an_account_that_may_not_look_is_told_so_and_nothing_else_is_guessed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "spool")

    monkeypatch.setattr("shared.admin.status.count_entries", refused)
    what, do = the_one(desk, "cannot be read by this account")
    assert "what waits in it is not known" in what and "as root" in do
    said = json.loads(desk.run("status", "--json").stdout)
    assert said["lanes"]["relay"] == {"entries": None, "octets": None, "oldest": None}
    assert "relay     not readable" in desk.run("status").stdout


def test_a_history_that_may_not_be_read_is_said_once_and_is_no_empty_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(history: History, *_: object) -> list[object]:
        for _ in range(2):
            history._complain(Path("/var/lib/mercury/history"), PermissionError(13, "Permission denied"))
        return []

    monkeypatch.setattr("shared.admin.find.find_messages", unread)
    done = desk.run("find", "x")
    assert done.exit_code == 1 and "Nothing matched" not in done.output
    assert done.output.count("cannot read /var/lib/mercury/history: Permission denied") == 1


@pytest.mark.parametrize("command", ["reload", "trace s --for 1"])
def test_a_socket_that_may_not_be_used_is_no_daemon_that_is_down(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("asyncio.open_unix_connection", refused)
    done = desk.run(*command.split())
    assert done.exit_code == 1 and "this account may not ask mercury-s" in done.output
    assert "does not run" not in done.output
