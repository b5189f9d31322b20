"""The players: MercuryS, C and E as real processes, started as systemd starts them and ended by SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile

from shared.admin.demo.stage import Stage

DAEMONS = ("mercury_s", "mercury_c", "mercury_e")
START_SECONDS = 20.0
STOP_SECONDS = 15.0


class PlayerFailed(Exception):
    """A daemon did not start, or did not end as it should; says which, and shows its last lines."""


class Player:
    """One daemon. Its standard error goes to a file on the stage."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self._log = stage.log(name)
        self._command = [sys.executable, "-m", name, "--config", str(stage.config)]
        self._process: subprocess.Popen[bytes] | None = None
        self._has_started = False

    async def start(self) -> None:
        """Returns when the daemon says READY=1 (sd_notify(3)). Raises PlayerFailed."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with tempfile.TemporaryDirectory(prefix="mercury-") as folder, notify:
            notify.bind(f"{folder}/notify")
            notify.setblocking(False)
            self._spawn(f"{folder}/notify")
            await self._wait_until_ready(notify)

    def _spawn(self, notify: str) -> None:
        with self._log.open("ab") as log:
            #  A session of its own: the terminal's Ctrl-C is for us, the daemons are asked by SIGTERM.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": notify},
                start_new_session=True,
            )

    async def _wait_until_ready(self, said: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + START_SECONDS
        while self.is_running and loop.time() < end:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in (await asyncio.wait_for(loop.sock_recv(said, 4096), 0.2)).split(b"\n"):
                    self._has_started = True
                    return
        raise PlayerFailed(f"{self.name} did not start:\n{self.last_words()}")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-20:]) or "(it said nothing)"

    async def stop(self) -> None:
        """SIGTERM; raises PlayerFailed unless it ends with 0 in time (what never started has been reported)."""
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise PlayerFailed(f"{self.name} did not end within {STOP_SECONDS:g} s")
        if code != 0 and self._has_started:
            raise PlayerFailed(f"{self.name} ended with {code}:\n{self.last_words()}")


async def start_all(players: list[Player]) -> None:
    await asyncio.gather(*(player.start() for player in players))


async def stop_all(players: list[Player]) -> list[str]:
    """End all of them; what went wrong with any."""
    results = await asyncio.gather(*(player.stop() for player in players), return_exceptions=True)
    return [str(result) for result in results if isinstance(result, BaseException)]
