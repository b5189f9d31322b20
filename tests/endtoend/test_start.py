"""How the daemons refuse to start: what is wrong and what to do, and an exit code that says which kind."""

from __future__ import annotations

import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from clients import Raw
from deadline import eventually
from mailsite import Site
from process import Process

#  Those that handle mail; the page has its own tests.
LETTERS = ["c", "e", "s"]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("letter", LETTERS)
def test_a_broken_configuration_is_refused_with_every_fault(site: Site, letter: str) -> None:
    text = site.config_path.read_text()
    faults = text.replace("delivery: relay", "delivery: realy").replace("hostname:", "hostnmae:")
    site.config_path.write_text(faults)
    code, said = site.run_to_its_end(letter)
    assert code == 2
    where = re.compile(re.escape(str(site.config_path)) + r":(\d+):(\d+): error: ")
    found = [match for line in lines(said) if (match := where.match(line))]
    assert len(found) >= 2, said
    faulty = {number for number, line in enumerate(faults.splitlines(), 1) if "realy" in line or "hostnmae" in line}
    assert faulty <= {int(match[1]) for match in found}, said
    assert "Traceback" not in said


@pytest.mark.parametrize("letter", LETTERS)
def test_yaml_that_cannot_be_read_is_refused(site: Site, letter: str) -> None:
    site.config_path.write_text("hostname: [never closed\n")
    code, said = site.run_to_its_end(letter)
    assert code == 2
    assert re.match(re.escape(str(site.config_path)) + r":\d+:\d+: error: ", said), said


@pytest.mark.parametrize("letter", LETTERS)
def test_a_file_that_is_not_there_is_refused(site: Site, letter: str) -> None:
    site.config_path.unlink()
    code, said = site.run_to_its_end(letter)
    assert code == 2
    assert len(lines(said)) == 1 and str(site.config_path) in said, said


def test_a_port_in_use_is_one_line(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        code, said = site.run_to_its_end("s")
    assert code == 1
    assert len(lines(said)) == 1 and str(site.port) in said, said


@pytest.mark.parametrize("letter", LETTERS)
def test_a_spool_that_cannot_be_written_is_one_line(site: Site, letter: str) -> None:
    blocked = site.root / "blocked"
    blocked.write_text("a file where a folder should be")
    site.config["spool"] = str(blocked / "spool")
    site.write_config()
    code, said = site.run_to_its_end(letter)
    assert code == 1
    assert len(lines(said)) == 1 and str(blocked) in said, said


def test_a_missing_certificate_is_one_line(site: Site) -> None:
    site.config["tls"] = {"certificate": "nowhere/cert.pem", "key": "nowhere/key.pem"}
    site.write_config()
    code, said = site.run_to_its_end("s")
    assert code == 1
    assert len(lines(said)) == 1 and "nowhere/cert.pem" in said, said


@pytest.mark.parametrize("letter", LETTERS)
def test_sigterm_ends_an_idle_daemon_at_once_with_0(site: Site, letter: str) -> None:
    site.start(letter)
    assert site.daemons[letter].stop(seconds=5) == 0


def test_sigint_ends_it_too(site: Site) -> None:
    site.start("s")
    site.daemons["s"].signal(signal.SIGINT)
    assert site.daemons["s"].wait(5) == 0


def test_a_session_is_told_when_the_server_goes(site: Site) -> None:
    site.start("s")
    with Raw(site.port) as raw:
        raw.say("EHLO client.example")
        site.daemons["s"].signal(signal.SIGTERM)
        assert raw.reply().startswith("421 ")
    assert site.daemons["s"].wait(10) == 0


def test_the_installed_commands_are_the_daemons(site: Site, tmp_path: Path) -> None:
    """mercury-s, mercury-c and mercury-e stand beside the Python that runs the tests."""
    for letter in LETTERS:
        command = Path(sys.executable).parent / f"mercury-{letter}"
        daemon = Process(command.name, [str(command), "--config", str(site.config_path)], tmp_path / f"{letter}.log")
        daemon.start_notified()
        eventually(lambda daemon=daemon: daemon.is_running)
        assert daemon.stop() == 0
