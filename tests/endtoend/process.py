"""A program under test or a peer of it, as a real process: started, found ready, ended, its output kept.

A daemon of the suite says READY=1 on NOTIFY_SOCKET as it does under systemd; a foreign peer is ready when its port
answers. Every process leads a process group of its own, so that `kill` takes its workers with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#  Seconds; for who runs on an emulated processor to set.
READY_WITHIN = 20.0
_PR_SET_PDEATHSIG = 1


class StartFailed(AssertionError):
    """The process ended, or said nothing, before it was ready."""


class Process:
    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child, f"{self.name} was not started"
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(
        self, is_ready: Callable[[], bool], seconds: float = 0, limit: Callable[[], None] | None = None
    ) -> None:
        self._spawn(self._env, limit)
        self._wait(is_ready, seconds)

    def start_notified(self, seconds: float = 0, limit: Callable[[], None] | None = None) -> None:
        """Start it and wait for the datagram READY=1 (sd_notify(3))."""
        with (
            tempfile.TemporaryDirectory(prefix="ready-") as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
        ):
            listener.bind(f"{folder}/s")
            listener.settimeout(0.02)
            said: list[bytes] = []

            def is_ready() -> bool:
                with contextlib.suppress(TimeoutError):
                    said.append(listener.recv(4096))
                return any(b"READY=1" in datagram.split(b"\n") for datagram in said)

            self._spawn({**self._env, "NOTIFY_SOCKET": f"{folder}/s"}, limit)
            self._wait(is_ready, seconds)

    def _spawn(self, env: Mapping[str, str], limit: Callable[[], None] | None) -> None:
        assert not self.is_running, f"{self.name} is already running"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(env),
                start_new_session=True,
                preexec_fn=limit,
            )

    def _wait(self, is_ready: Callable[[], bool], seconds: float) -> None:
        seconds = seconds or READY_WITHIN
        end = time.monotonic() + seconds
        while not is_ready():
            if not self.is_running:
                raise StartFailed(
                    f"{self.name} ended with {self._child and self._child.returncode}:\n{self.output()}"
                )
            if time.monotonic() > end:
                self.kill()
                raise StartFailed(f"{self.name} was not ready within {seconds:g} s:\n{self.output()}")
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 20) -> int:
        assert self._child
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds:g} s:\n{self.output()[-4000:]}")

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit code."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for the whole process group, as a power cut would."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(10)


def answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 0.5):
            return True
    except OSError:
        return False


def free_port(*addresses: str) -> int:
    """A TCP port that is free now on every one of `addresses`, and that no one was given before.

    From below the kernel's ephemeral ports: a client that knocks again and again at such a port while nobody listens
    ends up connected to itself, and the daemon that comes back finds its port in use. Tests that run side by side
    (pytest-xdist) take theirs from shares of their own, as a port is free until its server has been started.
    """
    for port in _PORTS:
        with contextlib.ExitStack() as taken, contextlib.suppress(OSError):
            for address in addresses:
                taken.enter_context(socket.socket()).bind((address, port))
            return port
    raise AssertionError("no port is free on all of " + ", ".join(addresses))


def _share_of_ports() -> list[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    ports = list(range(10_000 + int(worker[2:]) % _SHARES, 32_000, _SHARES))
    random.shuffle(ports)
    return ports


_SHARES = 8
_PORTS = iter(_share_of_ports())


def end_with_parent() -> None:
    """For `preexec_fn`: SIGKILL for who is about to begin, when the thread that began it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
