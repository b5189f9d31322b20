"""The operator's hands while the daemons run: their control sockets, mail in flight, another way for what waits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clients import Raw
from deadline import eventually
from mailsite import ROOT, Site
from peers import FarEnd, SmtpSink
from process import free_port
from setting import Stage

from shared.spool.queue_entry import list_entries
from shared.spool.spool import Spool


def asked(site: Site, daemon: str, **request: Any) -> list[dict[str, Any]]:
    """The lines of an answer, with the last one that says how it ended; as any program can ask."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(site.root / "run" / f"{daemon}.sock"))
        link.sendall(json.dumps(request).encode() + b"\n")
        lines = []
        with link.makefile("rb") as file:
            for line in file:
                lines.append(json.loads(line))
                if "end" in lines[-1]:
                    break
        return lines


def submitted(site: Site, token: str) -> str:
    with Raw(site.port) as raw:
        raw.say("EHLO client.example")
        raw.say("MAIL FROM:<anna@hq.example>")
        assert raw.say("RCPT TO:<joe@elsewhere.example>").startswith("250")
        raw.say("DATA")
        raw.send(f"Subject: {token}\r\n\r\nhello\r\n.\r\n".encode())
        said = raw.reply()
    return next(word for word in said.replace(".", " ").split() if len(word) == 9 and word[4] == "-")


def entry(site: Site, queue_id: str) -> dict[str, Any]:
    """As `mercury queue list --json` would tell it."""
    spool = Spool(site.root / "spool", "test")
    return next((each.as_json() for each in list_entries(spool) if each.id == queue_id), {})


@contextmanager
def hesitant() -> Iterator[tuple[tuple[str, int], threading.Event]]:
    """A smarthost that greets nobody until the event is set, and then sends everybody away."""
    decided = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                decided.wait(60)
                link.sendall(b"421 4.3.2 not today\r\n")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname(), decided
    finally:
        decided.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_what_is_in_flight_is_held_when_its_attempt_has_ended(site: Site) -> None:
    with hesitant() as (hop, decided):
        site.relay_to(hop)
        site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
        site.write_config()
        site.start("sc")
        queue_id = submitted(site, "in flight")
        eventually(lambda: entry(site, queue_id).get("state") == "active", what="the attempt has begun")
        name = os.path.basename(str(site.entries("relay")[0])).partition(",N=")[0]
        assert asked(site, "mercury-c", do="wait", lane="relay", name=name, seconds=0.1)[0] == {"ended": False}
        flights = asked(site, "mercury-c", do="sessions")
        assert flights[0]["id"] == queue_id and flights[-1] == {"end": "done"}
        hold = subprocess.Popen(
            [sys.executable, "-m", "shared.admin", "--config", str(site.config_path), "queue", "hold", queue_id],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        decided.set()
        said, _ = hold.communicate(timeout=60)
        assert hold.returncode == 0 and "is held" in said
        found = entry(site, queue_id)
        assert (found["lane"], found["state"], found["attempts"]) == ("hold", "held", 1)


def test_who_asks_for_another_try_gets_one_although_nobody_answered_a_moment_ago(
    site: Site, stage: Stage, tmp_path: Path
) -> None:
    site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
    sink = SmtpSink(tmp_path, free_port("127.0.0.1"))
    site.relay_to(sink.hop)
    site.write_config()
    site.start("sc")
    queue_id = submitted(site, "token-again-.")
    eventually(lambda: entry(site, queue_id).get("attempts"), what="a first attempt that failed")
    stage.peer(sink)
    assert site.mercury("queue", "retry", queue_id).returncode == 0
    eventually(site.is_empty, what="delivery by the attempt that was asked for; the next is in an hour")


def test_a_message_goes_by_the_host_that_the_operator_names(site: Site, far_end: FarEnd) -> None:
    site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
    site.write_config()
    site.start("sc")
    queue_id = submitted(site, "token-by-hand-.")
    eventually(lambda: entry(site, queue_id).get("attempts"), what="a first attempt that failed")
    host, port = far_end.hop
    done = site.mercury("queue", "reroute", queue_id, "--via", f"{host}:{port}", "--tls", "off", "--reason", "test")
    assert done.returncode == 0, done.stderr
    eventually(lambda: far_end.find("token-by-hand-."), what="the message at the other host")
    eventually(site.is_empty)
    assert "test" in site.mercury("audit", queue_id).stdout


def test_the_control_socket_tells_acts_and_reloads(site: Site) -> None:
    site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
    site.write_config()
    site.start("sc")
    queue_id = submitted(site, "by socket")
    eventually(lambda: entry(site, queue_id).get("attempts"), what="a first attempt that failed")
    status, end = asked(site, "mercury-s", do="status")
    assert status["daemon"] == "mercury-s" and status["pid"] == site.daemons["s"].pid and end == {"end": "done"}
    with Raw(site.port) as raw:
        raw.say("EHLO client.example")
        sessions = asked(site, "mercury-s", do="sessions")[:-1]
        assert [(each["client"], each["messages"]) for each in sessions] == [("127.0.0.1", 0)]
    act = {"do": "act", "verb": "hold", "selection": {"ids": [queue_id]}, "reason": "by a program"}
    assert asked(site, "mercury-c", **act, rehearse=True)[0] == {"id": queue_id, "lane": "relay"}
    assert entry(site, queue_id)["lane"] == "relay"
    did, end = asked(site, "mercury-c", **act)
    assert (did["id"], did["wrong"], end["end"]) == (queue_id, "", "done") and entry(site, queue_id)["lane"] == "hold"
    begins = json.loads(site.mercury("audit", queue_id, "--json").stdout.splitlines()[0])
    assert (begins["uid"], begins["via"], begins["reason"]) == (os.getuid(), "mercury-c", "by a program")
    assert asked(site, "mercury-c", do="nonsense")[-1]["end"] == "refused"
    assert asked(site, "mercury-c", do="act", verb="explode")[-1]["end"] == "refused"
    assert asked(site, "mercury-c", do="act", verb="hold", selection={"color": ["red"]})[-1]["end"] == "refused"
    done = site.mercury("reload")
    assert done.returncode == 0 and "mercury-e: does not run" in done.stdout
    site.config["hostname"] = 7
    site.write_config()
    refused = asked(site, "mercury-c", do="reload")[-1]
    assert refused["end"] == "refused" and "mercury.yaml:" in refused["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_strangers_learn_the_status_and_no_more(site: Site) -> None:
    site.start("c")
    for path in (site.root, *site.root.parents[:-2], site.root / "run"):
        path.chmod(0o755)
    program = (
        "import json,os,socket,sys;os.setgroups([]);os.setgid(65534);os.setuid(65534);"
        "l=socket.socket(socket.AF_UNIX);l.connect(sys.argv[1]);f=l.makefile('rwb');\n"
        "for do in ('status','sessions','reload','act'):\n"
        "    f.write(json.dumps({'do':do}).encode()+b'\\n');f.flush()\n"
        "    while 'end' not in (line:=json.loads(f.readline())): pass\n"
        "    print(do,line['end'])"
    )
    command = [sys.executable, "-c", program, str(site.root / "run/mercury-c.sock")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:4] == ["status done", "sessions refused", "reload refused", "act refused"], done
