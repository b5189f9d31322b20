"""`mercury trace`: the dialogues of real daemons, from both ends of one connection, and never a password."""

from __future__ import annotations

import base64
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from certificate import self_signed
from clients import Raw
from deadline import eventually
from fakes.json_page import undocumented
from mailsite import ROOT, Site
from setting import Stage

PASSWORD = "correct horse"
CONTENT = "this is for nobody else"


class Trace:
    """`mercury trace`, running; its lines go to a file."""

    def __init__(self, site: Site, *arguments: str) -> None:
        self._file = site.root / f"trace-{'-'.join(arguments).replace('/', '_')}"
        command = [sys.executable, "-m", "shared.admin", "--config", str(site.config_path), "trace", *arguments]
        with self._file.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, cwd=ROOT)
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        assert first.startswith(b"watching mercury-"), first + self._process.stderr.read()

    def text(self) -> str:
        return self._file.read_text()

    def end(self) -> str:
        self.end_of_errors()
        return self.text()

    def end_of_errors(self) -> str:
        self._process.terminate()
        return self._process.communicate(timeout=30)[1].decode()


def submission(site: Site) -> None:
    certificate, key = self_signed(site.root, "localhost", "IP:127.0.0.1")
    site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    site.config["receive"]["listeners"] = [{"port": site.port, "address": "127.0.0.1", "kind": "submission"}]
    site.here["networks"] = ["192.0.2.0/24"]
    site.write_config()


def relay_by(site: Site, other: Site) -> None:
    """Through the submission port of `other`, with a login."""
    secret = Path(site.root / "secret")
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    site.here["smarthosts"] = [
        {"host": "127.0.0.1", "port": other.port, "tls": "verify", "authorities": str(other.root / "localhost.cert.pem"),
         "login": "anna@hq.example", "password_file": str(secret)}
    ]  # fmt: skip
    site.write_config()


def is_clean(shown: str) -> bool:
    hidden = [PASSWORD, CONTENT, *(base64.b64encode(each.encode()).decode().rstrip("=") for each in (
        PASSWORD, f"\0anna\0{PASSWORD}", f"\0anna@hq.example\0{PASSWORD}"))]  # fmt: skip
    return not any(each in shown for each in hidden)


def log_in(client: smtplib.SMTP) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    client.user, client.password = "anna@hq.example", PASSWORD  # type: ignore[attr-defined]
    client.ehlo()
    assert client.auth("LOGIN", client.auth_login, initial_response_ok=False)[0] == 235  # type: ignore[attr-defined]
    assert client.auth("PLAIN", lambda challenge=None: f"\0anna\0{PASSWORD}")[0] == 503


def test_the_door_shows_a_dialogue_in_tls_and_no_secret(site: Site) -> None:
    submission(site)
    site.start("s")
    everything, elsewhere = Trace(site, "s", "--json"), Trace(site, "s", "--client", "198.51.100.0/24")
    to_bert = Trace(site, "s", "--to", "bert@hq.example")
    with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=20) as client:
        log_in(client)
        client.docmd("HELP \x1b[31mred")
        client.sendmail("anna@hq.example", ["bert@hq.example"], f"Subject: x\r\n\r\n{CONTENT}\r\n")
    eventually(lambda: "the session is over" in everything.text(), what="the end of the session")
    eventually(lambda: "the session is over" in to_bert.text(), what="the same, in words")
    lines: list[dict[str, Any]] = [json.loads(line) for line in everything.end().splitlines()]
    assert not undocumented("trace", everything.text().splitlines())
    shown = to_bert.end()
    said = [line["text"] for line in lines if line["who"] == "client"]
    assert is_clean(shown) and is_clean(json.dumps(lines)), shown
    assert "\x1b" not in shown and "\\x1b[31mred" in shown
    assert "AUTH LOGIN" in said and "(20 octets of a login, not shown)" in said, said
    assert any(line.startswith("AUTH PLAIN (") for line in said), said
    assert any(line["text"].startswith("235 ") for line in lines) and "rcpt TO:<bert@hq.example>" in said
    assert " C: mail FROM:<anna@hq.example>" in shown and "octets of content, not shown" in shown, shown
    assert elsewhere.end() == ""


def test_the_relay_shows_its_side_and_no_secret(site: Site, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = stage.site(tmp_path / "other")
    other.config["hostname"] = "smarthost.example"
    submission(other)
    other.add_users("anna", "bert")
    other.start("s")
    relay_by(site, other)
    site.start("sc")
    trace = Trace(site, "c", "--peer", "127.0.0.1")
    with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=20) as client:
        client.sendmail("anna@hq.example", ["x@elsewhere.example"], f"Subject: x\r\n\r\n{CONTENT}\r\n")
    eventually(lambda: "queued as" in trace.text(), what="the answer to the message")
    shown = trace.end()
    assert is_clean(shown), shown
    assert "C: AUTH " in shown and "S: 235 " in shown and "-- TLSv1.3 with" in shown, shown
    assert "-- message " in shown and "C: RCPT TO:<x@elsewhere.example>" in shown and "not shown)" in shown


def test_all_workers_are_shown_and_the_one_that_comes_after_another(site: Site) -> None:
    site.config["receive"]["workers"] = 2
    site.write_config()
    site.start("s")
    trace = Trace(site, "s", "--json")

    def shown_by() -> set[str]:
        return {json.loads(line)["process"] for line in trace.text().splitlines()}

    def visit() -> bool:
        with Raw(site.port) as raw:
            raw.say("EHLO client.example")
        return shown_by() >= {"mercury-s.1", "mercury-s.2"}

    eventually(visit, 30, "dialogues of both")
    pids = {event["worker"]: event["pid"] for event in site.events("worker-started")}
    os.kill(int(pids[1]), signal.SIGKILL)
    eventually(lambda: len(site.events("worker-started")) == 3, what="another worker")
    before = len(trace.text())

    def is_shown_again() -> bool:
        visit()
        return "mercury-s.1" in trace.text()[before:]

    eventually(is_shown_again, 30, "the worker in its place")
    assert "mercury-s.1 has ended" in trace.end_of_errors()


def test_who_is_not_there_cannot_be_looked_at(site: Site) -> None:
    done = site.mercury("trace", "e")
    assert done.returncode == 4 and "nobody answers" in done.stderr, done.stderr
    assert site.mercury("trace", "s", "--peer", "x").returncode == 2
    assert site.mercury("trace", "s", "--client", "not an address").returncode == 2
