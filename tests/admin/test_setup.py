"""`mercury setup` into a tree: everything in its place, nothing twice, and nothing of ours left when it is taken away."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.admin.command import mercury
from shared.admin.installation import Host, plan_setup
from shared.admin.ports import taken_port
from shared.admin.unit_files import ADMIN, first_configuration, general_files, socket_files
from shared.config.load import parse

UNITS = "etc/systemd/system"

needs_systemd = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-sysusers") is None, reason="needs root and the tools of systemd"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    root.chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    return root


def setup(root: Path, *words: str) -> Result:
    return CliRunner().invoke(mercury, ["setup", "--root", str(root), *words], catch_exceptions=False)


def links(root: Path) -> set[str]:
    return {str(path.relative_to(root / UNITS)) for path in (root / UNITS).rglob("*") if path.is_symlink()}


@needs_systemd
def test_a_site_that_relays(tree: Path) -> None:
    first = setup(tree, "--relay")
    assert first.exit_code == 0
    assert "now say in /etc/mercury/mercury.yaml" in first.output
    assert setup(tree, "--relay").output.endswith("\ndone\n")
    lane = tree / "var/spool/mercury/.relay/new"
    lane.mkdir(parents=True)
    (lane / "an entry").touch()
    assert "mail waits" not in setup(tree, "--relay").output
    assert "mail waits in the lane relay, and mercury-c does not run" in setup(tree, "--direct").output
    assert setup(tree, "--relay").exit_code == 0
    assert links(tree) == {
        "multi-user.target.wants/mercury.target",
        "mercury.target.wants/mercury-s.service",
        "mercury.target.wants/mercury-c.service",
        "sockets.target.wants/mercury-s-25.socket",
        "mercury-s.service.requires/mercury-s-25.socket",
    }
    ids = {line.split(":")[0]: int(line.split(":")[2]) for line in (tree / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tree / "etc/group").read_text().splitlines()}
    assert set(groups["mercury"][3].split(",")) == {"mercury-s", "mercury-c", "mercury-e", "mercury-web"}
    spool = (tree / "var/spool/mercury").stat()
    assert (stat.S_IMODE(spool.st_mode), spool.st_uid, spool.st_gid) == (
        0o2770,
        ids["mercury-s"],
        int(groups["mercury"][2]),
    )
    secrets = (tree / "etc/mercury/secrets").stat()
    assert (stat.S_IMODE(secrets.st_mode), secrets.st_uid, secrets.st_gid) == (0o700, 0, 0)
    users = (tree / "etc/mercury/users.yaml").stat()
    assert (stat.S_IMODE(users.st_mode), users.st_gid) == (0o640, int(groups["mercury-s"][2]))
    config = (tree / "etc/mercury/mercury.yaml").stat()
    assert (stat.S_IMODE(config.st_mode), config.st_gid) == (0o640, int(groups["mercury"][2]))


@needs_systemd
def test_twice_changes_nothing_and_another_way_changes_what_is_enabled(tree: Path) -> None:
    setup(tree, "--relay")
    (tree / "etc/mercury/mercury.yaml").write_text("hostname: mine.example\n")
    again = setup(tree, "--relay")
    assert again.exit_code == 0 and "write" not in again.output
    assert (tree / "etc/mercury/mercury.yaml").read_text() == "hostname: mine.example\n"
    setup(tree, "--direct")
    assert "mercury.target.wants/mercury-e.service" in links(tree)
    assert "mercury.target.wants/mercury-c.service" not in links(tree)
    setup(tree, "--auto")
    assert {f"mercury.target.wants/mercury-{letter}.service" for letter in "sce"} <= links(tree)


@needs_systemd
def test_each_listener_of_the_configuration_has_its_socket(tree: Path) -> None:
    setup(tree, "--relay")
    listeners = "receive: {listeners: [{port: 587, kind: mx}, {port: 2525, address: '::1'}]}\n"
    (tree / "etc/mercury/mercury.yaml").write_text("hostname: mine.example\n" + listeners)
    done = setup(tree, "--relay")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tree / UNITS).glob("*.socket")} == {
        "mercury-s-587.socket",
        "mercury-s-..1-2525.socket",
    }
    assert "sockets.target.wants/mercury-s-25.socket" not in links(tree)
    assert "sockets.target.wants/mercury-s-587.socket" in links(tree)


@needs_systemd
def test_taken_away_it_leaves_mail_and_configuration(tree: Path) -> None:
    setup(tree, "--auto")
    kept = tree / "var/spool/mercury/kept"
    kept.write_text("mail")
    assert setup(tree, "--remove").exit_code == 0
    assert not list((tree / UNITS).rglob("*mercury*")) and not list((tree / "etc").glob("*/mercury.conf"))
    assert kept.read_text() == "mail" and (tree / "etc/mercury/mercury.yaml").exists()
    assert setup(tree, "--remove").output == ""


@needs_systemd
def test_folders_elsewhere_are_opened_to_the_daemons_that_use_them(tree: Path) -> None:
    setup(tree, "--auto")
    drop_ins = [tree / UNITS / f"mercury-{letter}.service.d/20-folders.conf" for letter in "sce"]
    assert not any(path.exists() for path in drop_ins), "the usual ones are open by the units"
    config = tree / "etc/mercury/mercury.yaml"
    config.write_text("hostname: m.example\nstate: /srv/my state\nlocal: {maildir: '/srv/vhosts/{domain}/{user}'}\n")
    assert setup(tree, "--auto").exit_code == 0
    lines = [path.read_text().splitlines()[-1] for path in drop_ins]
    assert lines == ['ReadWritePaths=-"/srv/my state" -/srv/vhosts', *['ReadWritePaths=-"/srv/my state"'] * 2]
    config.write_text("hostname: m.example\n")
    assert "remove /etc/systemd/system/mercury-s.service.d/20-folders.conf" in setup(tree, "--auto").output
    assert not list((tree / UNITS).glob("mercury-*.service.d"))


SS = """\
LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("smtpd",pid=543,fd=6),("master",pid=542,fd=12))
LISTEN 0 1024 [::]:587 [::]:* users:(("mercury-s",pid=7,fd=3),("systemd",pid=1,fd=32))
LISTEN 0 20 127.0.0.1:2525 0.0.0.0:* users:(("exim4",pid=9,fd=4))
LISTEN 0 20 192.0.2.1%eth0:465 0.0.0.0:*
"""


@pytest.mark.parametrize(
    ("address", "port", "said"),
    [
        ("", 25, "port 25 is taken by Postfix (master) and smtpd"),
        ("192.0.2.9", 25, "port 25 is taken by Postfix (master) and smtpd"),
        ("", 587, ""),
        ("", 2525, "port 2525 is taken by exim4"),
        ("127.0.0.1", 2525, "port 2525 is taken by exim4"),
        ("::1", 2525, ""),
        ("192.0.2.1", 465, "port 465 is taken by another program"),
        ("", 26, ""),
    ],
)
def test_who_is_in_the_way_of_a_listener_is_named(address: str, port: int, said: str) -> None:
    assert taken_port([("", 587), (address, port)], SS) == said


def test_a_rehearsal_does_nothing(tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    said = setup(tree, "--auto", "--dry-run")
    assert said.exit_code == 0 and "would write /etc/systemd/system/mercury-s-25.socket" in said.output
    assert sorted(tree.rglob("*")) == before


def test_a_package_brings_what_is_the_same_everywhere(tree: Path) -> None:
    assert setup(tree, "--package", "--programs", "/usr/lib/mercury").exit_code == 0
    units = tree / "usr/lib/systemd/system"
    assert "ExecStart=/usr/lib/mercury/mercury-s --config" in (units / "mercury-s.service").read_text()
    assert not (tree / "etc/mercury").exists() and not (tree / UNITS).exists()
    #  On the host nothing is written over what the package has brought.
    steps = [step.words for step in plan_setup(Host(tree, "/usr/lib/mercury"), "relay")]
    assert not any(".service" in words and words.startswith("write") for words in steps)


def test_an_error_in_the_configuration_is_said_at_its_place(tree: Path) -> None:
    (tree / "etc/mercury").mkdir()
    (tree / "etc/mercury/mercury.yaml").write_text("receive: {listeners: [{prt: 25}]}\n")
    said = setup(tree, "--relay", "--dry-run")
    assert said.exit_code == 2 and "mercury.yaml:1:" in said.output


@pytest.mark.parametrize("words", [[], ["--relay", "--programs", "/nowhere"]])
def test_what_cannot_be(words: list[str]) -> None:
    assert CliRunner().invoke(mercury, ["setup", "--dry-run", *words]).exit_code == 2


def test_the_shipped_sockets_are_what_setup_writes() -> None:
    folder = Path(__file__).resolve().parents[2] / "etc/systemd"
    for path, text in socket_files(ADMIN, [("", 25), ("", 465), ("", 587)]).items():
        assert (folder / Path(path).name).read_text() == text
    [(path, text)] = socket_files(ADMIN, [("::1", 25)]).items()
    assert path.endswith("/mercury-s-..1-25.socket")
    assert [line for line in text.splitlines() if line.startswith("ListenStream")] == ["ListenStream=[::1]:25"]


@pytest.mark.parametrize("version", [252, 253])
def test_a_reload_is_waited_for_where_systemd_can(version: int) -> None:
    files = general_files(ADMIN, "/opt/mercury/bin", version)
    drop_ins = [text for path, text in files.items() if path.endswith(".d/10-notify-reload.conf")]
    assert len(drop_ins) == (4 if version >= 253 else 0) and all("Type=notify-reload" in text for text in drop_ins)


@pytest.mark.parametrize(("way", "word"), [("relay", "hold"), ("auto", "hold"), ("direct", "direct")])
def test_the_first_configuration_is_right(way: str, word: str) -> None:
    config = parse(first_configuration(way), Path("/etc/mercury/mercury.yaml"), lambda: "host.example")
    assert config.sites["here"].delivery == word and config.site == "here"
