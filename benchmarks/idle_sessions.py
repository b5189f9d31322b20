"""How many sessions MercuryS holds idle at once, what each costs in memory, and how a good client fares among them.

    python benchmarks/idle_sessions.py [--sessions 10000] [--sources 5] [--say] [--json]

Sessions come from several addresses of 127.0.0.0/8, a site network being none of them. Figures, no verdict. Needs two
descriptors a session in all: `ulimit -n` must allow as many as there are sessions, in either process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import select
import signal
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOOD_CLIENT = "127.0.0.1"
TRIES = 20

CONFIG = """
hostname: mail.hq.example
spool: spool
state: state
run: run
local: {{domains: [hq.example], maildir: "mail/{{domain}}/{{user}}", users: users.yaml}}
receive:
  listeners: [{{port: {port}, address: 127.0.0.1, kind: mx}}]
  limits: {{sessions: {most}, sessions_per_client: {most}, sessions_per_network: {most}, idle: 10m}}
sites: {{hq: {{networks: [127.0.0.1/32], delivery: hold}}}}
"""


@contextlib.contextmanager
def server(folder: Path, port: int, most: int) -> Iterator[int]:
    """A MercuryS with one mailbox; its process."""
    config = folder / "mercury.yaml"
    config.write_text(CONFIG.format(port=port, most=most))
    for name in ("state", "run"):
        (folder / name).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.admin", "--config", str(config), "user", "add", "anna@hq.example"]
    subprocess.run([*command, "--no-password"], check=True, env=environment, stdout=subprocess.DEVNULL)
    log = (folder / "log").open("wb")
    command = [sys.executable, "-m", "mercury_s", "--config", str(config)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _wait_for(port, process, folder / "log")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise SystemExit(log.read_text())
        time.sleep(0.05)
    raise SystemExit("the server does not answer")


def resident(pid: int) -> int:
    """Octets of memory that are the process's own."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the server is gone")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_sessions(port: int, number: int, sources: int, says: bool) -> list[socket.socket]:
    """All greeted; those that speak have said EHLO and the beginning of a transaction, too."""
    sessions: list[socket.socket] = []
    words = b"EHLO client.example\r\nMAIL FROM:<bert@outside.example>\r\n" if says else b""
    poll = select.epoll()
    while len(sessions) < number:
        batch = {}
        for _ in range(min(500, number - len(sessions))):
            sock = socket.socket()
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((f"127.0.0.{2 + (len(sessions) + len(batch)) % sources}", 0))
            sock.settimeout(30)
            sock.connect(("127.0.0.1", port))
            poll.register(sock, select.EPOLLIN)
            batch[sock.fileno()] = sock
        for sock in batch.values():
            greeting = sock.recv(4096)
            if not greeting.startswith(b"220 "):
                raise SystemExit(f"after {len(sessions)} sessions: {greeting.decode(errors='replace').strip()}")
            if words:
                sock.sendall(words)
                heard = b""
                while b"\r\n250 2.1.0" not in heard:
                    heard += sock.recv(4096)
        sessions += batch.values()
    poll.close()
    return sessions


def deliver(port: int) -> float:
    """Seconds for a whole session with one message, from connecting to the answer to QUIT."""
    begin = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port, "good.example", 30, (GOOD_CLIENT, 0)) as client:
        client.sendmail("bert@outside.example", ["anna@hq.example"], b"Subject: good\r\n\r\ntext\r\n")
    return time.perf_counter() - begin


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def measure(number: int, sources: int, says: bool) -> dict[str, float]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number + 100:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (number * 2, number * 2))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        with server(Path(name), port, number + number // 4) as pid:
            for _ in range(5):
                deliver(port)
            before, before_cpu, begin = resident(pid), cpu(pid), time.perf_counter()
            sessions = open_sessions(port, number, sources, says)
            opened = time.perf_counter() - begin
            used = resident(pid) - before
            opening_cpu = cpu(pid) - before_cpu
            times = sorted(deliver(port) for _ in range(TRIES))
            idle_cpu, begin = cpu(pid), time.perf_counter()
            time.sleep(5)
            idle_cpu = (cpu(pid) - idle_cpu) / (time.perf_counter() - begin)
            begin = time.perf_counter()
            for sock in sessions:
                sock.close()
            deliver(port)
            closed = time.perf_counter() - begin
            after = resident(pid) - before
    return {
        "sessions": number,
        "sources": sources,
        "octets_per_session": used / number,
        "opened_per_second": number / opened,
        "cpu_ms_per_session": opening_cpu * 1000 / number,
        "good_client_median_s": statistics.median(times),
        "good_client_worst_s": times[-1],
        "idle_cpu_percent": idle_cpu * 100,
        "seconds_to_close_all": closed,
        "octets_kept_per_session_after": after / number,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--sources", type=int, default=5, help="client addresses")
    parser.add_argument("--say", action="store_true", help="each session says EHLO and MAIL first")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.sessions, given.sources, given.say)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(
            f"{name.replace('_', ' '):32} {value:,.4g}"
            if value < 100
            else f"{name.replace('_', ' '):32} {value:,.0f}"
        )


if __name__ == "__main__":
    main()
