"""Those who send: smtplib, a raw socket that speaks BDAT, swaks, curl, and a load of many at once."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from peers import program


def send(
    port: int, sender: str, recipients: Sequence[str], message: bytes, options: Sequence[str] = ()
) -> dict[str, tuple[int, bytes]]:
    """By smtplib; the refused recipients. Raises what smtplib raises."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as client:
        return client.sendmail(sender, recipients, message, options)


class Raw:
    """A line of bytes at a time, for what smtplib does not speak."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        self._file = self._socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self) -> str:
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("closed")
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def chunks(self, message: bytes, size: int) -> str:
        """`message` by BDAT in chunks of `size`; the last reply."""
        said = ""
        for start in range(0, max(len(message), 1), size):
            chunk = message[start : start + size]
            last = " LAST" if start + size >= len(message) else ""
            self.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            said = self.reply()
            assert said.startswith("250"), said
        return said

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def send_by_swaks(port: int, sender: str, recipient: str, message: Path, *options: str) -> None:
    command = [program("swaks"), "--server", f"127.0.0.1:{port}", "--from", sender, "--to", recipient]
    done = subprocess.run([*command, "--data", f"@{message}", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def send_by_curl(port: int, sender: str, recipient: str, message: Path) -> None:
    command = [program("curl"), "-sS", "--url", f"smtp://127.0.0.1:{port}/client.example", "--mail-from", sender]
    done = subprocess.run(
        [*command, "--mail-rcpt", recipient, "-T", str(message)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Load:
    """Several sessions that send numbered messages, come back when the connection breaks, and keep account of
    every number that got its 250: those, and only those, must be found in the end."""

    def __init__(self, port: int, recipient: str, messages: int, sessions: int = 8, size: int = 4096) -> None:
        self._port = port
        self._recipient = recipient
        self._size = size
        self._numbers = iter(range(messages))
        self._lock = threading.Lock()
        self._gave_up = threading.Event()
        self.acknowledged: set[str] = set()
        self.surprises: list[str] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(sessions)]

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def join(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        alive = any(thread.is_alive() for thread in self._threads)
        self._gave_up.set()
        assert not alive, f"the load was not through within {seconds:g} s; {len(self.acknowledged)} acknowledged"
        assert not self.surprises, self.surprises

    def end(self) -> None:
        """No more messages; what is under way may still be acknowledged."""
        self._gave_up.set()

    def _next(self) -> str | None:
        with self._lock:
            number = next(self._numbers, None)
        return None if number is None or self._gave_up.is_set() else f"load-{os.getpid()}-{id(self)}-{number}-."

    def _work(self) -> None:
        token = self._next()
        while token and not self._gave_up.is_set():
            with contextlib.suppress(OSError), Raw(self._port) as raw:
                if raw.say("EHLO load.example").startswith("250"):
                    token = self._session(raw, token)

    def _session(self, raw: Raw, token: str | None) -> str | None:
        """Messages until the connection breaks or turns 421; the token that is still to be sent."""
        while token:
            try:
                if not self._transaction(raw, token):
                    return token
            except OSError:
                return token
            self.acknowledged.add(token)
            token = self._next()
        return None

    def _transaction(self, raw: Raw, token: str) -> bool:
        head = f"From: load\r\nSubject: {token}\r\n\r\n"
        for command in ("MAIL FROM:<load@hq.example>", f"RCPT TO:<{self._recipient}>", "DATA"):
            said = raw.say(command)
            if said[0] == "5":
                self.surprises.append(f"{command}: {said}")
            if said[0] not in "23":
                return False
        raw.send(head.encode() + (b"x" * 76 + b"\r\n") * (self._size // 78) + b".\r\n")
        return raw.reply().startswith("250")
