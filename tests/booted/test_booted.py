"""The services under a booted systemd: what docs/systemd.md promises, on a machine made for this test.

The tests share one machine and go in their order; each leaves it running and its queue empty.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from booted.machine import Machine, why_not
from booted.traffic import (
    CONFIG,
    KEPT,
    PASSWORD,
    all_arrive,
    customers,
    kept,
    make_certificate,
    start_smarthost,
    stop_smarthost,
    waiting,
)
from endtoend.deadline import eventually

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("mercury-s", "mercury-c", "mercury-e")

#  A network that never comes: what waits for it is told so after a while.
NO_NETWORK = """[Unit]
Description=Waits for a network that does not come
DefaultDependencies=no
Before=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sleep 3; exit 1'
[Install]
WantedBy=network-online.target
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine("mercury-proof", tmp_path_factory.mktemp("machine"))
    try:
        _set_up(machine, "--auto")
        make_certificate(machine.root / "etc")
        (machine.root / "etc/mercury/mercury.yaml").write_text(CONFIG)
        secret = machine.root / "etc/mercury/secrets/mercury-c/isp"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        _set_up(machine, "--auto")
        (machine.root / "etc/systemd/system/no-network.service").write_text(NO_NETWORK)
        subprocess.run(["systemctl", f"--root={machine.root}", "-q", "enable", "no-network"], check=True)
        machine.boot()
        machine.run("/opt/mercury/bin/mercury", "user", "add", "anna@hq.example", "--no-password", check=False)
        yield machine
    finally:
        machine.end()


def _set_up(machine: Machine, way: str) -> None:
    command = [sys.executable, "-m", "shared.admin", "setup", "--root", str(machine.root), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def smarthost(machine: Machine) -> Iterator[Machine]:
    start_smarthost(machine)
    yield machine


def started(machine: Machine, unit: str) -> int:
    return int(machine.show(unit, "ActiveEnterTimestampMonotonic"))


def test_it_boots_without_a_network(machine: Machine) -> None:
    """MercuryS does not wait; the others wait until it is known that no network comes, and start all the same."""
    eventually(lambda: machine.say("systemctl", "is-active", "mercury.target") == "active", 120, "it has started")
    assert [machine.say("systemctl", "is-active", unit) for unit in SERVICES] == ["active"] * 3
    assert machine.say("systemctl", "is-failed", "no-network") == "failed"
    given_up = int(machine.show("no-network", "InactiveEnterTimestampMonotonic") or 0)
    given_up = given_up or int(machine.show("no-network", "StateChangeTimestampMonotonic"))
    assert int(machine.show("mercury-s", "ExecMainStartTimestampMonotonic")) < given_up
    assert int(machine.show("mercury-c", "ExecMainStartTimestampMonotonic")) >= given_up
    assert started(machine, "mercury-s-25.socket") < started(machine, "mercury-s.service")


def test_setup_on_a_running_host_finds_nothing_to_do(machine: Machine) -> None:
    pid = machine.show("mercury-s", "MainPID")
    done = machine.run("/opt/mercury/bin/mercury", "setup", "--auto")
    assert "write" not in done.stdout and machine.show("mercury-s", "MainPID") == pid


def test_the_units_are_understood_and_closed(machine: Machine) -> None:
    sockets = ("mercury-s-25.socket", "mercury-s-587.socket")
    units = [f"/etc/systemd/system/{unit}" for unit in (*[f"{name}.service" for name in SERVICES], *sockets)]
    done = machine.run("systemd-analyze", "--man=no", "verify", *units)
    assert done.stdout + done.stderr == ""
    for name in SERVICES:
        done = machine.run("systemd-analyze", "security", "--threshold=13", f"{name}.service")
        assert re.search(r"exposure level for \S+: 1\.[0-3] ", done.stdout), done.stdout[-200:]


def test_the_status_page_sees_everything_and_can_write_nothing(machine: Machine) -> None:
    """It is not started until somebody wants it; then it looks into all daemons and has one of them act."""
    assert machine.say("systemctl", "is-active", "mercury-web") == "inactive"
    assert machine.say("systemctl", "is-enabled", "mercury-web") == "disabled"
    machine.run(
        "/opt/mercury/bin/mercury", "user", "passwd", "anna@hq.example", "--password-stdin", given=b"sesame 7\n"
    )
    machine.run("systemctl", "start", "mercury-web")
    visit = machine.python("visitor.py", "/run/mercury/web.sock", "anna@hq.example", "sesame 7")
    told = json.loads(machine.run(*visit).stdout)
    assert [(each["is_up"], each.get("trouble")) for each in told["daemons"]] == [(True, None)] * 3, told["daemons"]
    assert told["queue"]["trouble"] == "" and told["queue"]["entries"] == 0
    assert told["acted"] == [200, {"ends": [], "undo": None}] and told["found"]["messages"] == []
    begun = json.loads(machine.run("/opt/mercury/bin/mercury", "audit", "--json", "--last", "1").stdout)
    assert (begun["account"], begun["for"], begun["via"]) == ("mercury-web", "anna@hq.example", "mercury-s")
    pid = machine.show("mercury-web", "MainPID")
    mounts = [line.split() for line in machine.say("cat", f"/proc/{pid}/mountinfo").splitlines()]
    writable = {fields[4] for fields in mounts if "rw" in fields[5].split(",")}
    kept = {"/var/lib/mercury/events", "/var/lib/mercury/history", "/run/mercury"}
    assert {place for place in writable if "mercury" in place} == kept
    status = machine.say("cat", f"/proc/{pid}/status")
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    machine.run("systemctl", "stop", "mercury-web")


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_is_in_force(machine: Machine, name: str) -> None:
    """As the kernel has it for the running process, not as the unit has it."""
    pid = machine.show(name, "MainPID")
    state = dict(
        line.split(":\t", 1) for line in machine.say("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2"
    assert all(int(state[key], 16) == 0 for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert state["Uid"].split()[0] == machine.say("id", "-u", name) != "0"
    assert machine.say("getent", "group", "mercury").split(":")[2] in state["Groups"].split()
    mounts = [line.split() for line in machine.say("cat", f"/proc/{pid}/mountinfo").splitlines()]
    options = {fields[4]: fields[5].split(",") for fields in mounts}
    assert "ro" in options["/"] and "rw" in options["/var/spool/mercury"]
    assert ("/var/mail/mercury" in options) is (name == "mercury-s")
    hidden = machine.run("nsenter", "-t", pid, "-m", "ls", "/home", "/root", check=False)
    assert "root:\n" not in hidden.stdout or hidden.stdout.split() == ["/home:", "/root:"]


@pytest.mark.parametrize("name", [*SERVICES, "mercury-web"])
def test_what_each_option_forbids_is_forbidden(machine: Machine, name: str) -> None:
    """Tried in the unit's own sandbox by root, who owns what is to be written and could do all of it outside; processes
    of his own are the one thing he sees."""
    unit = (ROOT / f"etc/systemd/{name}.service").read_text()
    keys = r"(?:Protect|Private|Restrict|Lock|SystemCall|NoNew|Capability|Ambient|ProcSubset|KeyringMode|UMask|RemoveIPC)"
    options = re.findall(rf"(?m)^({keys}\w*=.*)$", unit)
    assert len(options) > 20
    given = [word for option in options for word in ("-p", option)]
    prober = (ROOT / "tests/booted/prober.py").read_text()
    for user, allowed in (("root", "allowed: ProtectProc\n"), ("nobody", "")):
        words = ("systemd-run", "--wait", "--pipe", "--quiet", "-p", f"User={user}", *given)
        said = machine.run(*words, "/usr/bin/python3", "-c", prober).stdout
        assert said.startswith(f"{allowed}tried: "), said


def test_secrets_are_for_whom_they_are_for(machine: Machine) -> None:
    assert machine.say("ls", "/run/credentials/mercury-c.service") == "mercury-c_isp"
    assert machine.say("ls", "/run/credentials/mercury-s.service") == ""
    for name in SERVICES:
        assert machine.run("runuser", "-u", name, "--", "ls", "/etc/mercury/secrets", check=False).returncode != 0
    for other in ("mercury-s", "mercury-e"):
        file = "/run/credentials/mercury-c.service/mercury-c_isp"
        assert machine.run("runuser", "-u", other, "--", "cat", file, check=False).returncode != 0
    assert machine.run("runuser", "-u", "mercury-c", "--", "ls", "/var/mail/mercury", check=False).returncode != 0
    assert (
        machine.run("runuser", "-u", "mercury-c", "--", "cat", "/etc/mercury/users.yaml", check=False).returncode != 0
    )


def test_mail_flows_from_account_to_account(smarthost: Machine) -> None:
    """In by mercury-s, out by mercury-c with the password that only it was given."""
    with customers(smarthost) as outcome:
        eventually(lambda: len(kept(smarthost)) > 3, 60, "mail comes out at the far end")
    assert outcome["refused"] == outcome["broken"] == 0
    all_arrive(smarthost, outcome["acknowledged"])
    assert " wait" in smarthost.show("mercury-c", "StatusText")
    assert " session" in smarthost.show("mercury-s", "StatusText")


def test_the_numbers_of_every_account_stand_at_one_address(smarthost: Machine) -> None:
    def says(text: str) -> bool:
        return text in smarthost.say("curl", "-s", "http://127.0.0.1:9925/metrics")

    for name in ("mercury-s", "mercury-c"):
        eventually(lambda name=name: says(f'mercury_up{{daemon="{name}"}} 1'), 60, f"{name} is counted")  # type: ignore[misc]


def test_mail_of_a_program_is_its_own(smarthost: Machine) -> None:
    before = len(kept(smarthost))
    message = b"To: far@away.example\nSubject: token-1-end\n\nhello\n"
    words = ("runuser", "-u", "nobody", "--", "/opt/mercury/bin/mercury-sendmail", "-t")
    smarthost.run(*words, given=message)
    eventually(lambda: len(kept(smarthost)) > before, 60, "it arrives")
    [path] = [path for path in smarthost.inside(KEPT).iterdir() if "token-1-end" in path.read_text()]
    assert "(from uid 65534, nobody)" in path.read_text()
    smarthost.run("/opt/mercury/bin/mercury-sendmail", "far@away.example", given=b"Subject: token-2-end\n\n")
    eventually(lambda: "token-2-end" in kept(smarthost), 60, "that of root, too")


def test_the_journal_tells_the_story_of_a_message(smarthost: Machine) -> None:
    ids = smarthost.say(
        "journalctl", "-u", "mercury-s", "-o", "json", "--output-fields=MERCURY_ID", "MERCURY_EVENT=message-accepted"
    )
    id = json.loads(ids.splitlines()[-1])["MERCURY_ID"]
    records = [
        json.loads(line) for line in smarthost.say("journalctl", f"MERCURY_ID={id}", "-o", "json").splitlines()
    ]
    told = {(record["_SYSTEMD_UNIT"], record["MERCURY_EVENT"]) for record in records}
    assert {("mercury-s.service", "message-accepted"), ("mercury-c.service", "message-finished")} <= told
    assert all(len(record["MESSAGE_ID"]) == 32 and id in record["MESSAGE"] for record in records)
    assert all(record["SYSLOG_IDENTIFIER"] in record["_SYSTEMD_UNIT"] for record in records)
    everything = smarthost.say("journalctl", "-o", "export", "-u", "mercury-s", "-u", "mercury-c", "-u", "mercury-e")
    assert PASSWORD not in everything


def test_an_entry_of_another_account_is_put_off_and_tried_again(smarthost: Machine) -> None:
    """Only the owner of a file may set its time: MercuryC makes a copy of what MercuryS has deposited."""
    stop_smarthost(smarthost)
    smarthost.run("/opt/mercury/bin/mercury-sendmail", "far@away.example", given=b"Subject: token-3-end\n\n")
    new = smarthost.inside("/var/spool/mercury/.relay/new")
    owner = int(smarthost.say("id", "-u", "mercury-c"))
    eventually(lambda: [path for path in new.iterdir() if path.stat().st_uid == owner], 60, "it is put off")
    start_smarthost(smarthost)
    eventually(
        lambda: (
            smarthost.say("/opt/mercury/bin/mercury", "queue", "retry", "--all") and "token-3-end" in kept(smarthost)
        ),
        120,
        "it arrives",
    )
    eventually(lambda: waiting(smarthost) == 0, 60, "the queue is empty")


def test_a_reload_is_carried_out_or_refused(smarthost: Machine) -> None:
    config = smarthost.inside("/etc/mercury/mercury.yaml")
    pid = smarthost.show("mercury-s", "MainPID")
    try:
        config.write_text(CONFIG.replace("errors: 20", "errors: 2"))
        smarthost.run("systemctl", "reload", *SERVICES)
        eventually(lambda: "config-reloaded" in _events(smarthost, "mercury-s"), 30, "it is in force")
        config.write_text(CONFIG.replace("errors: 20", "errors: many"))
        smarthost.run("systemctl", "reload", "mercury-s")
        eventually(lambda: "configuration refused" in smarthost.show("mercury-s", "StatusText"), 30, "it is refused")
    finally:
        config.write_text(CONFIG)
    smarthost.run("systemctl", "reload", "mercury-s")
    eventually(lambda: "refused" not in smarthost.show("mercury-s", "StatusText"), 30, "it is well again")
    assert smarthost.show("mercury-s", "MainPID") == pid


def _events(machine: Machine, unit: str) -> list[str]:
    lines = machine.say("journalctl", "-u", unit, "-o", "json", "--output-fields=MERCURY_EVENT").splitlines()
    return [json.loads(line).get("MERCURY_EVENT", "") for line in lines]


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_is_refused_while_everything_restarts(smarthost: Machine, workers: int) -> None:
    config = smarthost.inside("/etc/mercury/mercury.yaml")
    config.write_text(CONFIG.replace("receive: {", f"receive: {{workers: {workers}, "))
    smarthost.run("systemctl", "restart", "mercury-s")
    for port in (25, 587):
        before = smarthost.show("mercury-s", "MainPID")
        with customers(smarthost, port) as outcome:
            count = len(kept(smarthost))
            eventually(lambda count=count: len(kept(smarthost)) > count, 60, "mail flows")  # type: ignore[misc]
            smarthost.run("systemctl", "restart", "mercury-s" if port == 25 else "mercury.target")
            count = len(kept(smarthost))
            eventually(lambda count=count: len(kept(smarthost)) > count, 60, "mail flows again")  # type: ignore[misc]
        assert smarthost.show("mercury-s", "MainPID") != before
        assert outcome["refused"] == 0 and len(outcome["acknowledged"]) > 1
        all_arrive(smarthost, outcome["acknowledged"])


@pytest.mark.parametrize("name", ["mercury-s", "mercury-c"])
def test_killed_it_is_started_again_and_nothing_is_lost(smarthost: Machine, name: str) -> None:
    restarts = int(smarthost.show(name, "NRestarts"))
    with customers(smarthost) as outcome:
        count = len(kept(smarthost))
        eventually(lambda: len(kept(smarthost)) > count, 60, "mail flows")
        smarthost.run("systemctl", "kill", "--signal=KILL", name)
        eventually(lambda: int(smarthost.show(name, "NRestarts")) > restarts, 60, "systemd starts it again")
        count = len(kept(smarthost))
        eventually(lambda: len(kept(smarthost)) > count, 60, "mail flows again")
    assert outcome["refused"] == 0
    all_arrive(smarthost, outcome["acknowledged"])


def test_a_daemon_that_hangs_is_ended_by_the_watchdog(smarthost: Machine) -> None:
    folder = smarthost.inside("/run/systemd/system/mercury-c.service.d")
    folder.mkdir(parents=True)
    (folder / "soon.conf").write_text("[Service]\nWatchdogSec=2\nTimeoutAbortSec=2\n")
    smarthost.run("systemctl", "daemon-reload")
    smarthost.run("systemctl", "restart", "mercury-c")
    restarts = int(smarthost.show("mercury-c", "NRestarts"))
    smarthost.run("systemctl", "kill", "--signal=STOP", "mercury-c")
    eventually(lambda: int(smarthost.show("mercury-c", "NRestarts")) > restarts, 90, "the watchdog bites")
    assert "Watchdog timeout" in smarthost.say("journalctl", "-u", "mercury-c", "-o", "cat")
    eventually(lambda: smarthost.say("systemctl", "is-active", "mercury-c") == "active", 60, "it runs again")
    with customers(smarthost) as outcome:
        count = len(kept(smarthost))
        eventually(lambda: len(kept(smarthost)) > count, 60, "mail flows again")
    all_arrive(smarthost, outcome["acknowledged"])


def test_a_clean_stop(smarthost: Machine) -> None:
    smarthost.run("systemctl", "stop", "mercury.target")
    for name in SERVICES:
        eventually(lambda name=name: smarthost.say("systemctl", "is-active", name) == "inactive", 60)  # type: ignore[misc]
        assert smarthost.show(name, "Result") == "success"
        assert next(filter(None, reversed(_events(smarthost, name)))) == "daemon-stopped"
    assert smarthost.say("systemctl", "is-active", "mercury-s-25.socket") == "inactive"
    assert waiting(smarthost) == 0
    smarthost.run("systemctl", "start", "mercury.target")
    assert smarthost.say("systemctl", "is-active", "mercury-s-25.socket") == "active"


def test_taken_away_it_leaves_mail(smarthost: Machine) -> None:
    smarthost.run("/opt/mercury/bin/mercury-sendmail", "anna@hq.example", given=b"Subject: stays\n\n")
    smarthost.run("/opt/mercury/bin/mercury", "setup", "--remove")
    assert smarthost.say("systemctl", "list-unit-files", "mercury*", "--no-legend") == ""
    assert smarthost.say("pgrep", "-c", "mercury-") == "0"
    assert (
        Path(smarthost.inside("/var/spool/mercury/ids")).exists()
        and smarthost.inside("/etc/mercury/mercury.yaml").exists()
    )
