"""How long another client's NOOP takes while two sessions hand in 25 MiB each: what a large message costs the others.

    python benchmarks/beside.py [--messages 12] [--every 5]

Both servers in the same run; a hundredth of the NOOPs took longer than the figure called p99. Figures, no verdict.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from cases import CASES, Bench, Case
from disk import Disk
from rivals import Mercury, Postfix, Rival
from run import alone

#  Postfix makes a session wait a second for each NOOP after the hundredth.
NOOPS_A_SESSION = 90


class Neighbour(threading.Thread):
    """A client that says NOOP again and again; `times` is what each took, in seconds."""

    def __init__(self, port: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self._pause = pause
        self._is_over = threading.Event()
        self._port = port
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self._port), 60)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.recv(512)
        return connected

    def run(self) -> None:
        while not self._is_over.is_set():
            if len(self.times) % NOOPS_A_SESSION == NOOPS_A_SESSION - 1:
                self._socket.close()
                self._socket = self._connect()
            began = time.perf_counter()
            self._ask(b"NOOP\r\n")
            self.times.append(time.perf_counter() - began)
            time.sleep(self._pause)

    def finish(self) -> None:
        self._is_over.set()
        self.join()
        self._socket.close()

    def _ask(self, line: bytes) -> None:
        self._socket.sendall(line)
        answer = b""
        while not answer.endswith(b"\r\n"):
            piece = self._socket.recv(4096)
            if not piece:
                raise SystemExit("the server has hung up")
            answer += piece


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=12, help="of 25 MiB, while the NOOPs are measured (12)")
    parser.add_argument("--every", type=float, default=5.0, help="milliseconds from an answer to the next NOOP (5)")
    parser.add_argument("--folder", default="/var/tmp", help="where the image lies (/var/tmp)")
    arguments = parser.parse_args()
    case = replace(next(case for case in CASES if case.name == "receive-25M"), messages=arguments.messages)
    with alone(), tempfile.TemporaryDirectory(prefix="mercury-beside-", dir=arguments.folder) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Disk(folder) as disk:
            bench = Bench(folder)
            print(f"{os.cpu_count()} CPUs, load and servers on the same; spools on {disk.words}", flush=True)
            for rival in (
                Postfix(folder / "postfix", disk.path / "postfix"),
                Mercury(folder / "mercury", disk.path / "mercury"),
            ):
                print(f"{rival.name:8} {measure(bench, rival, case, arguments.every / 1e3)}", flush=True)


def measure(bench: Bench, rival: Rival, case: Case, pause: float) -> str:
    rival.set_up(bench.task(case))
    try:
        rival.start()
        bench.load(rival, case, messages=2)
        quiet, loaded = (_while(rival, case, bench, pause, is_loaded) for is_loaded in (False, True))
    finally:
        rival.stop()
    return f"alone {_words(quiet)}; beside the large messages {_words(loaded)}"


def _while(rival: Rival, case: Case, bench: Bench, pause: float, is_loaded: bool) -> list[float]:
    neighbour = Neighbour(rival.port, pause)
    neighbour.start()
    if is_loaded:
        bench.load(rival, case)
    else:
        time.sleep(1)
    neighbour.finish()
    return sorted(neighbour.times)


def _words(times: list[float]) -> str:
    p99 = times[int(len(times) * 0.99)]
    return (
        f"{len(times)} NOOPs, median {statistics.median(times) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms,"
        f" longest {times[-1] * 1e3:.2f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
