"""How a large queue bears on a daemon: start to first attempt, memory, `mercury queue summary`, new mail beside it.

    python benchmarks/queue_scale.py 100000 1000000

A lane of so many deferred entries, each with its trail, on a file system of its own; one more entry is due. The start
is measured with a cold cache: the file system is unmounted before. Needs root for that.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import signal
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.disk import Disk
from shared.mail.address import Address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.lane import Lane
from shared.spool.names import EntryName
from shared.spool.record import render_record
from shared.spool.spool import Spool
from shared.spool.trail import DEFERRED, Trail, TrailRecord

ROOT = Path(__file__).resolve().parent.parent
SMTP_PORT, SINK_PORT = 2625, 2626
BODY = b"Received: by bench\r\nSubject: a letter that waits\r\n\r\n" + b"text text text text text text text\r\n" * 60
LETTERS = 40
CONFIG = """\
hostname: bench.example
site: hq
spool: {disk}/queue
state: {folder}/state
run: {folder}/run
local: {{domains: [bench.example], maildir: '{folder}/mail/{{user}}', users: users.yaml}}
receive:
  listeners: [{{port: {port}, address: 127.0.0.1, kind: mx}}]
  rules: [{{networks: [127.0.0.0/8], action: allow, exempt: true}}]
sites:
  hq:
    networks: [127.0.0.0/8]
    delivery: relay
    smarthosts: [{{host: 127.0.0.1, port: {sink}, tls: off}}]
"""


class Sink(threading.Thread):
    """Takes everything; `seen` is when each recipient was named."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.news = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", SINK_PORT))

    def run(self) -> None:
        while True:
            channel, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(channel,), daemon=True).start()

    def _talk(self, channel: socket.socket) -> None:
        with channel, channel.makefile("rb") as lines:
            channel.sendall(b"220 sink\r\n")
            is_data = False
            for line in lines:
                word = line[:4].upper()
                if is_data:
                    is_data = line != b".\r\n"
                    answer = b"" if is_data else b"250 taken\r\n"
                elif word == b"DATA":
                    is_data, answer = True, b"354 go on\r\n"
                else:
                    answer = b"250 fine\r\n"
                if word == b"RCPT" and not is_data:
                    with self.news:
                        self.seen[line.decode().partition("<")[2].partition(">")[0]] = time.monotonic()
                        self.news.notify_all()
                if answer:
                    channel.sendall(answer)

    def await_recipient(self, address: str, seconds: float) -> float:
        with self.news:
            if not self.news.wait_for(lambda: address in self.seen, seconds):
                raise SystemExit(f"{address} did not come within {seconds:.0f} s")
            return self.seen[address]


def fill(disk: Path, count: int) -> None:
    """`count` deferred entries with trails, and in the middle of them one that is due."""
    spool = Spool(disk / "queue", socket.gethostname())
    spool.prepare()
    lane, now = spool.folder(Lane.RELAY), time.time()
    trail = TrailRecord(
        now, "mercury-c", DEFERRED, "x", "451 4.4.1 cannot be reached", "mx.far.example[192.0.2.1]:25"
    )
    Trail(str(lane / "tmp" / "pattern")).append([trail], durable=False)
    line = (lane / "tmp" / "pattern").read_bytes()
    (lane / "tmp" / "pattern").unlink()
    for number in range(count):
        write(spool, number, f"x{number}@d{number % 1000}.example", now + 3600 + number % 10800)
        name = next_name
        (lane / "trail" / name).write_bytes(line)
        if number == count // 2:
            write(spool, count, "due@first.example", now - 1)
    os.sync()


next_name = ""


def write(spool: Spool, number: int, recipient: str, due: float) -> None:
    global next_name
    local, _, domain = recipient.partition("@")
    arrived = time.time() - 7200
    envelope = Envelope(
        f"{number // 10**4:04d}-{number % 10**4:04d}", Address("anna", "bench.example"),
        (Recipient(Address(local, domain)),), arrived, site="hq", login=f"login{number % 50}",
    )  # fmt: skip
    data = render_record(envelope) + BODY
    next_name = str(EntryName(int(arrived), envelope.id, spool.node, len(data), flow=f"{number % 50:04d}"))
    path = f"{spool.folder(Lane.RELAY)}/new/{next_name}"
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (due, due))


class Daemon:
    """One of ours, and what it says to the service manager."""

    def __init__(self, letter: str, folder: Path) -> None:
        self._words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = folder / f"notify-{letter}"
        address.unlink(missing_ok=True)
        self._words.bind(str(address))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"mercury_{letter}", "--config", str(folder / "mercury.yaml")],
            env={**os.environ, "NOTIFY_SOCKET": str(address)}, cwd=Path(__file__).parent.parent,
            stderr=(folder / f"{letter}.log").open("a"),
        )  # fmt: skip

    def await_words(self, text: str, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._words.settimeout(max(0.1, ends - time.monotonic()))
            try:
                if text in self._words.recv(4096).decode():
                    return
            except TimeoutError:
                break
        raise SystemExit(f"it did not say {text!r} within {seconds:.0f} s")

    def memory(self) -> float:
        """Resident now, MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    def peak(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._words.close()


def measure(count: int, folder: Path, sink: Sink) -> None:
    with Disk(folder, (2 << 30) + count * 9000, 200_000 + count * 2 + count // 5) as disk:
        (folder / "mercury.yaml").write_text(
            CONFIG.format(disk=disk.path, folder=folder, port=SMTP_PORT, sink=SINK_PORT)
        )
        (folder / "users.yaml").write_text("anna@bench.example: {}\n")
        began = time.monotonic()
        fill(disk.path, count)
        say(count, "filled", f"{time.monotonic() - began:.0f} s, {disk.words}")
        disk.forget()
        for mark in ("cold", "warm"):
            summary(count, folder, mark)
        disk.forget()
        sink.seen.clear()
        relay = Daemon("c", folder)
        say(count, "start to first attempt", f"{sink.await_recipient('due@first.example', 120) - relay.began:.2f} s")
        relay.await_words(f"{count} messages wait", 300)
        say(count, "start to whole lane known", f"{time.monotonic() - relay.began:.1f} s")
        say(count, "memory", f"{relay.memory():.0f} MB, at most {relay.peak():.0f} MB")
        receive = Daemon("s", folder)
        receive.await_words("READY=1", 60)
        delays = [deliver(number, sink) for number in range(LETTERS)]
        shown = f"median {statistics.median(delays) * 1000:.0f} ms, longest {max(delays) * 1000:.0f} ms"
        say(count, "new mail, 250 to attempt", f"{shown}, {LETTERS} letters")
        time.sleep(65 - min(60, time.monotonic() - relay.began))  #  the first sweep is a minute after the start
        say(count, "memory after a sweep", f"{relay.memory():.0f} MB, at most {relay.peak():.0f} MB")
        receive.stop()
        relay.stop()


def summary(count: int, folder: Path, mark: str) -> None:
    for verb in (["queue", "summary"], ["status"]):
        began = time.monotonic()
        command = [sys.executable, "-m", "shared.admin", "--config", str(folder / "mercury.yaml"), *verb]
        told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=True)
        say(count, f"{' '.join(verb)}, {mark}", f"{time.monotonic() - began:.2f} s")
        line = next((line for line in told.stdout.splitlines() if line.startswith("relay")), "")
        say(count, "", line)


def deliver(number: int, sink: Sink) -> float:
    recipient = f"new{number}@partner.example"
    with smtplib.SMTP("127.0.0.1", SMTP_PORT) as client:
        client.sendmail("anna@bench.example", [recipient], b"Subject: new\r\n\r\ntext\r\n")
        answered = time.monotonic()
    time.sleep(0.1)
    return max(0.0, sink.await_recipient(recipient, 60) - answered)


def say(count: int, what: str, figure: str) -> None:
    print(f"{count:>9,}  {what:<28}  {figure}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="Where the images go; much room is needed.")
    options = parser.parse_args()
    for room in ("shared", "mercury_s", "mercury_c"):
        #  As an installed one is: else every start would compile anew where bytecode may not be written.
        compileall.compile_dir(str(ROOT / room), quiet=2)
    sink = Sink()
    sink.start()
    for count in options.counts:
        folder = Path(tempfile.mkdtemp(prefix="queue-scale-", dir=options.folder))
        try:
            measure(count, folder, sink)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
