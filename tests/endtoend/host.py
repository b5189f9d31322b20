"""A host: a network with nothing but loopback, and a host name of its own. Needs root.

The thread that is `inside` one starts its programs and opens its connections there. It is gone when it is closed, and
nothing outside is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEWUTS, _NEWNET = 0x04000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    def __init__(self, name: str) -> None:
        self.name = name
        made = threading.Thread(target=self._make)
        made.start()
        made.join()

    def _make(self) -> None:
        _check(_libc.unshare(_NEWUTS | _NEWNET))
        socket.sethostname(self.name)
        run("ip", "link", "set", "lo", "up")
        self._spaces = [(_space("net"), _NEWNET), (_space("uts"), _NEWUTS)]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and the threads and processes it begins, are on this host."""
        before = [(_space("net"), _NEWNET), (_space("uts"), _NEWUTS)]
        try:
            _enter(self._spaces)
            yield
        finally:
            _enter(before)
            for descriptor, _ in before:
                os.close(descriptor)

    def processes(self) -> list[int]:
        """Those that run here."""
        network = os.fstat(self._spaces[0][0]).st_ino
        found = []
        for path in Path("/proc").glob("[0-9]*/ns/net"):
            with contextlib.suppress(OSError):
                if path.stat().st_ino == network:
                    found.append(int(path.parts[2]))
        return found

    def kill(self) -> None:
        """SIGKILL for all that runs here, as when the plug is pulled."""
        while running := self.processes():
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End what runs here."""
        self.kill()
        for descriptor, _ in self._spaces:
            os.close(descriptor)


def run(program: str, *words: str) -> None:
    done = subprocess.run([path_of(program), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stdout}{done.stderr}"


def path_of(program: str) -> str:
    found = which(program)
    assert found, f"{program} is not installed"
    return found


def which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _space(kind: str) -> int:
    return os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def _enter(spaces: list[tuple[int, int]]) -> None:
    for descriptor, kind in spaces:
        _check(_libc.setns(descriptor, kind))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
