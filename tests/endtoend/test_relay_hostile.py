"""Smarthosts that misbehave: mail is neither lost nor bounced, and no password is given away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import send
from deadline import eventually, stays
from mailsite import Site
from peers import ROOT
from process import Process, free_port

SENDER = "bert@hq.example"
Hostile = Callable[[str], tuple[int, Path]]


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Hostile]:
    """Starts a server of that mode: its port, and the folder where it keeps what it hears."""
    started: list[Process] = []

    def start(mode: str) -> tuple[int, Path]:
        port, folder = free_port("127.0.0.1"), tmp_path / mode
        program = ROOT / "tests" / "fakes" / "hostile.py"
        command = [sys.executable, str(program), "--folder", str(folder), "--port", str(port), "--mode", mode]
        process = Process("hostile", command, tmp_path / "log" / "hostile.log")
        started.append(process)
        process.start((folder / "ready").exists)
        return port, folder

    yield start
    for process in started:
        process.kill()


def post(site: Site, token: str) -> None:
    send(site.port, SENDER, ["x@elsewhere.example"], f"Subject: {token}\r\n\r\nhello\r\n".encode())


def kept(folder: Path, token: str) -> list[Path]:
    return [path for path in folder.glob("*.eml") if token.encode() in path.read_bytes()]


@pytest.mark.parametrize("mode", ["storm", "talkative", "cut", "garbler"])
def test_the_mail_arrives_all_the_same(site: Site, hostile: Hostile, mode: str) -> None:
    port, folder = hostile(mode)
    site.relay_to(("127.0.0.1", port))
    site.write_config()
    site.start("sc")
    post(site, "token-arrives-.")
    eventually(lambda: kept(folder, "token-arrives-."), what="arrival")
    eventually(site.is_empty, what="an empty spool")
    assert not site.events("message-bounced")
    assert all(len(event.get("reply", "")) < 600 for event in site.events("recipient-delivered"))


def test_a_server_that_reads_slowly_gets_every_octet(site: Site, hostile: Hostile) -> None:
    port, folder = hostile("sluggish")
    site.relay_to(("127.0.0.1", port))
    site.write_config()
    site.start("sc")
    body = b"".join(b".%06d %s\r\n" % (number, b"x" * 60) for number in range(10_000))
    send(site.port, SENDER, ["x@elsewhere.example"], b"Subject: token-slow-.\r\n\r\n" + body)
    [path] = eventually(lambda: kept(folder, "token-slow-."), what="arrival")
    eventually(site.is_empty, what="an empty spool")
    assert path.read_bytes().endswith(
        b"\r\n\r\n" + body.replace(b"\r\n.", b"\r\n..").replace(b".0", b"..0", 1) + b".\r\n"
    )


def test_words_slipped_in_before_the_handshake_are_not_believed(site: Site, hostile: Hostile) -> None:
    port, folder = hostile("injector")
    secret = site.root / "isp"
    secret.write_text("sesame-open\n")
    secret.chmod(0o600)
    site.here["smarthosts"] = [{"host": "127.0.0.1", "port": port, "login": "office", "password_file": str(secret)}]
    site.write_config()
    site.start("sc")
    post(site, "token-injected-.")
    [event] = eventually(lambda: site.events("recipient-deferred")[:1], what="a deferral")
    assert "plain text came behind the answer to STARTTLS" in event["reply"]
    stays(lambda: not kept(folder, "token-injected-.") and len(site.entries("relay")) == 1, 0.5)
    said = (folder / "said").read_bytes()
    assert b"AUTH" not in said and b"sesame" not in said and b"MAIL" not in said
