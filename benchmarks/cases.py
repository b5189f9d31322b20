"""What is measured, and how one run of it goes: set up, warm up, measure, clear away."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measure import cpu_seconds, memory
from rivals import Rival, Task

SECONDS_A_RUN = 120.0
SECONDS_TO_THE_FIRST = 600.0  #  of a million, on a slow disk
#  Messages, connections, octets, first and last (ns), as the sink has counted them.
Count = Callable[[], tuple[int, ...]]
MX_ADDRESSES = [f"127.0.9.{number}" for number in range(1, 51)]
DNS_ADDRESS = "127.0.9.253"


@dataclass(frozen=True)
class Case:
    """`goal` is the ratio of messages a second to Postfix that we want; of the latency, where `is_latency`."""

    name: str
    words: str
    kind: str
    sessions: int
    messages: int
    octets: int = 4096
    a_connection: int = 1
    users: int = 1
    domains: int = 0
    recipients: int = 1
    tls: bool = False
    is_latency: bool = False
    goal: float = 1.0
    rounds: int = 5  #  at most

    @property
    def is_vast(self) -> bool:
        """The usual disk cannot hold it."""
        return self.messages > 200_000

    def load_options(self) -> list[str]:
        suffix = {"local": "hq.example", "direct": "e2e.test"}.get(self.kind, "elsewhere.example")
        options = {"s": self.sessions, "n": self.messages, "l": self.octets, "m": self.a_connection, "u": self.users}
        if self.recipients > 1:
            options["r"] = self.recipients
        words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
        #  Towards the next server: what fills the queue comes in plain text.
        encrypted = ["-t"] if self.tls and self.kind == "receive" else []
        return [*words, *encrypted, "-d", str(self.domains), "-D", suffix]


CASES = (
    Case("receive", "20 sessions, 4 KiB, one message a connection", "receive", 20, 1500, goal=2.5),
    Case("receive-kept", "20 sessions, 4 KiB, connections kept", "receive", 20, 3000, a_connection=0, goal=3),
    Case("receive-100", "100 sessions, 4 KiB, connections kept", "receive", 100, 4000, a_connection=0, goal=4),
    Case("receive-one", "one session, connection to 250", "receive", 1, 200, is_latency=True, goal=0.8),
    Case("receive-1M", "10 sessions, 1 MiB", "receive", 10, 100, 1 << 20, goal=1.5),
    Case("receive-25M", "2 sessions, 25 MiB", "receive", 2, 6, 25 << 20, goal=1.5),
    Case(
        "receive-tls",
        "20 sessions, STARTTLS with a full handshake, one message each",
        "receive",
        20,
        1000,
        tls=True,
        goal=1.5,
    ),
    Case("relay", "drain 5,000 of 4 KiB to one smarthost", "relay", 20, 5000, a_connection=0, goal=5),
    Case("relay-tls", "the same with STARTTLS", "relay", 20, 5000, a_connection=0, tls=True, goal=3),
    Case("local", "receive and deliver 5,000 into 50 Maildirs", "local", 20, 5000, a_connection=0, users=50, goal=2),
    Case("direct", "drain 5,000 to 500 domains by MX", "direct", 20, 5000, a_connection=0, domains=500, goal=4),
    Case(
        "queue",
        "100,000 deferred and a cold disk: start to the first attempt",
        "queue",
        1,
        100_000,
        1000,
        is_latency=True,
        goal=0.55,
    ),
    Case("queue-million", "the same, 1,000,000", "queue", 1, 1_000_000, 1000, is_latency=True, goal=0.8, rounds=1),
    Case(
        "start",
        "start to the first 220, all that belongs to a server; memory at rest",
        "start",
        1,
        1,
        is_latency=True,
        goal=0.3,
    ),
)


@dataclass(frozen=True)
class Result:
    rate: float
    cpu_ms: float
    memory: float
    p50_ms: float = 0.0
    trouble: str = ""
    questions: int = 0  #  that nsd was asked


class Bench:
    """The tools, compiled once, and the folder they work in. `forget` empties the disk's cache."""

    def __init__(self, folder: Path, forget: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._forget = forget
        self.certificate = make_certificate(folder)
        here = Path(__file__).resolve().parent
        for tool in ("load", "sink"):
            command = ["gcc", "-O2", "-Wall", "-pthread", "-o", str(folder / tool), str(here / f"{tool}.c")]
            command += ["-lssl", "-lcrypto"]
            subprocess.run(command, check=True)

    def run(self, rival: Rival, case: Case) -> Result:
        task = self.task(case)
        rival.set_up(task)
        try:
            match case.kind:
                case "receive":
                    return self._receive(rival, case)
                case "local":
                    return self._deliver(rival, case)
                case "queue":
                    return self._find_due(rival, case)
                case "start":
                    return self._start(rival, case)
                case _:
                    return self._drain(rival, case, task)
        finally:
            rival.stop()

    def task(self, case: Case) -> Task:
        certificate = self.certificate if case.tls else None
        return Task(case.kind, ("127.0.0.1", 2600), (DNS_ADDRESS, 53), users=case.users, certificate=certificate)

    def load(self, rival: Rival, case: Case, messages: int = 0) -> dict[str, object]:
        options = case.load_options() + (["-n", str(messages)] if messages else [])
        done = subprocess.run(
            [str(self._folder / "load"), *options, str(rival.port)],
            capture_output=True, text=True, timeout=SECONDS_A_RUN,
        )  # fmt: skip
        result: dict[str, object] = json.loads(done.stdout)
        return result

    def _receive(self, rival: Rival, case: Case) -> Result:
        rival.start()
        self.load(rival, case, messages=min(case.messages, 2 * case.sessions))
        before, queued = _cpu(rival), rival.queued()
        said = self.load(rival, case)
        cpu = _cpu(rival) - before
        kept = rival.queued() - queued
        trouble = str(said["first_error"]) or ("" if kept == case.messages else f"{kept} of {case.messages} queued")
        return self._result(rival, case, float(str(said["seconds"])), cpu, said, trouble)

    def _deliver(self, rival: Rival, case: Case) -> Result:
        rival.start()
        self.load(rival, case, messages=2 * case.sessions)
        until(lambda: rival.delivered() == 2 * case.sessions)
        before, began = _cpu(rival), time.monotonic()
        said = self.load(rival, case)
        is_through = until(lambda: rival.delivered() >= case.messages + 2 * case.sessions)
        seconds = time.monotonic() - began
        trouble = str(said["first_error"]) or ("" if is_through else f"{rival.delivered()} delivered")
        return self._result(rival, case, seconds, _cpu(rival) - before, said, trouble)

    def _drain(self, rival: Rival, case: Case, task: Task) -> Result:
        """Filled first, then restarted to deliver; the clock runs from the first to the last message at the sink."""
        rival.start(may_deliver=False)
        said = self.load(rival, case)
        rival.stop()
        os.sync()
        places = [f"{address}:25" for address in MX_ADDRESSES] if case.kind == "direct" else ["127.0.0.1:2600"]
        with self.name_server(case) as questions:
            result = self._drain_to(rival, case, places, said)
        return replace(result, questions=questions())

    def _drain_to(self, rival: Rival, case: Case, places: list[str], said: dict[str, object]) -> Result:
        with self.sink(places, case.tls) as count:
            rival.drain()
            if not until(lambda: count()[0] > 0):
                return Result(0, 0, 0, trouble="nothing arrived")
            before = _cpu(rival)
            is_through = until(lambda: count()[0] >= case.messages)
            arrived, _, _, first, last = count()
            #  Taking the last entries out of the queue belongs to the work.
            is_empty = until(lambda: rival.queued() == 0, 15)
            cpu = _cpu(rival) - before
            trouble = str(said["first_error"]) or ("" if is_through and is_empty else f"{arrived} arrived")
            return self._result(rival, case, (last - first) / 1e9, cpu, {}, trouble)

    def _find_due(self, rival: Rival, case: Case) -> Result:
        """So many wait for hours and one is due: from the start until it is at the sink, the disk's cache cold."""
        rival.start(may_deliver=False)
        self.load(rival, case, messages=2)
        rival.stop()
        rival.defer(case.messages)
        os.sync()
        self._forget()
        with self.sink(["127.0.0.1:2600"]) as count:
            began = time.monotonic_ns()
            rival.drain()
            if not until(lambda: count()[0] > 0, SECONDS_TO_THE_FIRST):
                return Result(0, 0, 0, trouble="nothing arrived")
            first = count()[3]
            time.sleep(5)  #  until the rest is known, too
            cpu = _cpu(rival)
            return replace(self._result(rival, case, 0, cpu, {}, ""), p50_ms=(first - began) / 1e6)

    def _start(self, rival: Rival, case: Case) -> Result:
        began = time.monotonic()
        rival.start()
        answered = time.monotonic()
        time.sleep(3)
        return replace(self._result(rival, case, 0, _cpu(rival), {}, ""), p50_ms=(answered - began) * 1e3)

    def _result(
        self, rival: Rival, case: Case, seconds: float, cpu: float, said: dict[str, object], trouble: str
    ) -> Result:
        times = said.get("connect_to_250_ms")
        p50 = float(times["p50"]) if isinstance(times, dict) else 0.0
        rate = case.messages / seconds if seconds > 0 else 0.0
        return Result(rate, cpu / max(1, case.messages) * 1e3, sum(memory(pid) for pid in rival.pids), p50, trouble)

    @contextlib.contextmanager
    def sink(self, places: list[str], tls: bool = False) -> Iterator[Count]:
        file = self._folder / "counters"
        file.unlink(missing_ok=True)
        options = ["-t", str(self.certificate)] if tls else []
        command = ["setpriv", "--pdeathsig", "KILL", str(self._folder / "sink"), *options, str(file), *places]
        process = subprocess.Popen(command)
        try:
            until(lambda: file.exists() and file.stat().st_size == 4096)
            with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096) as counters:
                yield lambda: struct.unpack_from("<5q", counters)
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def name_server(self, case: Case) -> Iterator[Callable[[], int]]:
        """nsd with d0 to d499.e2e.test, whose MX are fifty addresses of the sink; and how many questions it had, once
        it has ended."""
        if case.kind != "direct":
            yield lambda: 0
            return
        folder = self._folder / "nsd"
        folder.mkdir(exist_ok=True)
        log = folder / "log"
        log.unlink(missing_ok=True)
        count = len(MX_ADDRESSES)
        zone = "$ORIGIN e2e.test.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 900 86400 300\n@ NS ns\nns A 127.0.9.253\n"
        zone += "".join(f"d{number} MX 10 mx{number % count}\n" for number in range(case.domains))
        zone += "".join(f"mx{number} A {address}\n" for number, address in enumerate(MX_ADDRESSES))
        (folder / "e2e.zone").write_text(zone)
        (folder / "nsd.conf").write_text(
            f'server:\n  ip-address: {DNS_ADDRESS}\n  username: ""\n  chroot: ""\n  database: ""\n'
            f"  zonesdir: {folder}\n  pidfile: {folder}/pid\n  zonelistfile: {folder}/zonelist\n"
            f"  xfrdfile: {folder}/xfrd\n  xfrdir: {folder}\n  server-count: 1\n  rrl-ratelimit: 0\n"
            f"  statistics: 3600\n  logfile: {log}\n"
            f"remote-control:\n  control-enable: no\nzone:\n  name: e2e.test\n  zonefile: e2e.zone\n"
        )
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "nsd", "-d", "-c", str(folder / "nsd.conf")], stderr=subprocess.DEVNULL
        )
        try:
            yield lambda: _questions_in(log.read_text())
        finally:
            process.terminate()
            process.wait()


def _questions_in(log: str) -> int:
    """nsd writes its sums when it ends: `XSTATS … RQ=2004 …`."""
    sums = re.findall(r"\bRQ=(\d+)", log)
    return int(sums[-1]) if sums else 0


def make_certificate(folder: Path) -> Path:
    """Certificate (ECDSA, P-256) and key in one file, for both servers and the sink."""
    path = folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "9", "-subj", "/CN=mail.hq.example", "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    path.chmod(0o600)
    return path


def _cpu(rival: Rival) -> float:
    return sum(cpu_seconds(pid) for pid in rival.pids)


def until(condition: Callable[[], bool], seconds: float = SECONDS_A_RUN) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
