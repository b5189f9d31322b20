"""The Debian package in the life of a host: installed, upgraded with mail in the spool, removed, installed again, purged.

The tests share one machine and go in their order.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from booted.machine import Machine, why_not
from booted.traffic import (
    CONFIG,
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
from packages import building

from shared import __version__

_WHY = why_not() or building.why_not()
pytestmark = [pytest.mark.proof, pytest.mark.skipif(bool(_WHY), reason=_WHY or "-"), pytest.mark.timeout(600)]

BEFORE = "0.0.9"
SERVICES = ("mercury-s", "mercury-c")
DEBS = Path("/srv/debs")


def build_previous(folder: Path) -> Path:
    """What is here with another version, a module that the next has not, and a unit that says something else."""
    tree = folder / "tree"
    for name in building.run("git", "ls-files").split("\n"):
        if (building.ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(building.ROOT / name, tree / name)
    init = tree / "shared/__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', f'"{BEFORE}"'))
    (tree / "shared/mail/former.py").write_text('"""Gone in the next version."""\n')
    unit = tree / "etc/systemd/mercury-c.service"
    unit.write_text(unit.read_text().replace("Description=MercuryC", "Description=MercuryC of before"))
    return building.build_deb(folder, "--tree", tree)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("debs")
    debs = {"old.deb": build_previous(folder), "new.deb": building.build_deb(folder / "new")}
    machine = Machine("mercury-package", tmp_path_factory.mktemp("package-machine"), has_mercury=False)
    try:
        make_certificate(machine.root / "etc")
        place = machine.root / DEBS.relative_to("/")
        place.mkdir()
        for name, deb in debs.items():
            shutil.copy(deb, place / name)
        machine.boot()
        yield machine
    finally:
        machine.end()


def states(machine: Machine, question: str) -> list[str]:
    units = ("mercury.target", *(f"{name}.service" for name in SERVICES))
    return [machine.say("systemctl", question, unit) for unit in units]


def put_into_service(machine: Machine) -> None:
    """What docs/packages.md says."""
    machine.run("mercury", "setup", "--relay")
    machine.inside("/etc/mercury/mercury.yaml").write_text(CONFIG)
    secret = machine.inside("/etc/mercury/secrets/mercury-c/isp")
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    machine.run("mercury", "setup", "--relay")
    machine.run("systemctl", "restart", *SERVICES)


def send(machine: Machine, recipient: str, token: str) -> None:
    machine.run("mercury-sendmail", recipient, given=f"Subject: {token}\n\nhello\n".encode())


def test_installed_it_waits_for_setup(machine: Machine) -> None:
    said = machine.run("dpkg", "-i", str(DEBS / "old.deb")).stdout
    assert "mercury setup --relay" in said
    assert BEFORE in machine.say("mercury", "--version")
    assert states(machine, "is-enabled") == ["disabled"] * 3 and set(states(machine, "is-active")) == {"inactive"}
    for name in ("mercury-s", "mercury-c", "mercury-e", "mercury-web"):
        assert "mercury" in machine.say("id", "-nG", name).split()
    assert machine.say("stat", "-c", "%a %U %G", "/var/spool/mercury") == "2770 mercury-s mercury"
    assert not machine.inside("/etc/mercury/mercury.yaml").exists()
    assert list(machine.inside("/opt/mercury/lib").rglob("shared/mail/__pycache__/former.*.pyc"))
    machine.run("systemctl", "preset-all")
    assert states(machine, "is-enabled") == ["disabled"] * 3, "nor by a preset of everything"


def test_mail_flows(machine: Machine) -> None:
    put_into_service(machine)
    assert set(states(machine, "is-active")) == {"active"}
    units = [path.name for path in machine.inside("/etc/systemd/system").glob("mercury*") if path.is_file()]
    assert sorted(units) == ["mercury-s-25.socket", "mercury-s-587.socket"], (
        "what the package brought is not there twice"
    )
    machine.run("mercury", "user", "add", "anna@hq.example", "--no-password")
    send(machine, "anna@hq.example", "token-1-end")
    mailbox = machine.inside("/var/mail/mercury/hq.example/anna/new")
    eventually(lambda: mailbox.is_dir() and list(mailbox.iterdir()), 60, "it is in the mailbox")
    send(machine, "far@away.example", "token-2-end")
    eventually(lambda: waiting(machine) == 1, 60, "nobody answers: it waits")


def test_upgraded_with_mail_in_the_spool(machine: Machine) -> None:
    """Nobody is refused meanwhile, what waits and what comes in arrives, and the code is all of the new version."""
    start_smarthost(machine)
    before = [machine.show(name, "MainPID") for name in SERVICES]
    with customers(machine) as outcome:
        eventually(lambda: len(kept(machine)) > 1, 60, "mail flows")
        machine.run("dpkg", "-i", str(DEBS / "new.deb"))
        count = len(kept(machine))
        eventually(lambda: len(kept(machine)) > count, 60, "mail flows again")
    assert outcome["refused"] == 0 and len(outcome["acknowledged"]) > 1
    machine.run("mercury", "queue", "retry", "--all", "--yes", check=False)
    all_arrive(machine, [*outcome["acknowledged"], "token-2-end"])
    assert __version__ in machine.say("mercury", "--version")
    assert not set(before) & {machine.show(name, "MainPID") for name in SERVICES}
    assert "of before" not in machine.show("mercury-c", "Description")
    assert not list(machine.inside("/opt/mercury/lib").rglob("former*"))
    assert "write" not in machine.run("mercury", "setup", "--relay").stdout
    assert machine.say("dpkg", "--verify", "mercury-mail") == ""


def test_the_conffile_is_a_real_one(machine: Machine) -> None:
    path = machine.inside("/etc/logrotate.d/mercury-mail")
    path.write_text(path.read_text().replace("monthly", "weekly"))
    machine.run("dpkg", "-i", str(DEBS / "new.deb"))
    assert "weekly" in path.read_text()


def test_removed_it_leaves_mail_and_configuration(machine: Machine) -> None:
    stop_smarthost(machine)
    send(machine, "far@away.example", "token-3-end")
    eventually(lambda: waiting(machine) == 1, 60, "it waits")
    machine.run("dpkg", "--remove", "mercury-mail")
    assert machine.say("systemctl", "list-unit-files", "mercury*", "--no-legend") == ""
    assert machine.say("pgrep", "-c", "mercury-") == "0" and ":25 " not in machine.say("ss", "-ltn")
    assert not machine.inside("/opt/mercury").exists() and not machine.inside("/usr/bin/mercury").is_symlink()
    assert waiting(machine) == 1
    for path in ("/etc/mercury/mercury.yaml", "/etc/mercury/secrets/mercury-c/isp", "/var/lib/mercury/audit.jsonl"):
        assert machine.inside(path).exists(), path
    assert list(machine.inside("/var/mail/mercury/hq.example/anna/new").iterdir())


def test_installed_again_it_delivers_what_waited(machine: Machine) -> None:
    machine.run("dpkg", "-i", str(DEBS / "new.deb"))
    start_smarthost(machine)
    machine.run("mercury", "setup", "--relay")
    machine.run("mercury", "queue", "retry", "--all", "--yes", check=False)
    all_arrive(machine, ["token-3-end"])


def test_purged_it_says_what_it_leaves(machine: Machine) -> None:
    said = machine.run("dpkg", "--purge", "mercury-mail").stdout
    for path in (
        "/etc/mercury",
        "/var/lib/mercury",
        "/var/spool/mercury",
        "/etc/logrotate.d/mercury-mail",
        "/opt/mercury",
    ):
        assert not machine.inside(path).exists(), path
    assert "/var/mail/mercury is left" in said and "/var/spool/mercury is left" not in said and "accounts" in said
    assert list(machine.inside("/var/mail/mercury/hq.example/anna/new").iterdir())
    assert machine.say("dpkg-query", "-W", "mercury-mail") == ""
