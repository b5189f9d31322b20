"""A shared file system for two hosts: GlusterFS, one brick, mounted twice, in a network of its own. Needs root.

And a host: a network and a host name of its own. The thread that is `inside` one starts its programs and opens its
connections there. All of it is gone when it is closed, and nothing outside is touched.
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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deadline import eventually

_NEWUTS, _NEWNET = 0x04000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
#  GlusterFS takes no address of loopback for a server's.
SERVER = "10.77.0.1"


def why_no_gluster() -> str:
    """Why there can be none here; empty when there can."""
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    missing = [name for name in ("ip", "glusterd", "gluster", "glusterfs") if not _which(name)]
    return f"{', '.join(missing)} not installed: tests/peers.sh fetches it" if missing else ""


class Host:
    """A network with nothing but loopback, and a host name."""

    def __init__(self, name: str) -> None:
        self.name = name
        made = threading.Thread(target=self._make)
        made.start()
        made.join()

    def _make(self) -> None:
        _check(_libc.unshare(_NEWUTS | _NEWNET))
        socket.sethostname(self.name)
        _run("ip", "link", "set", "lo", "up")
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

    def close(self) -> None:
        """End what runs here."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for descriptor, _ in self._spaces:
            os.close(descriptor)


class Gluster:
    """`mounts` are the same files, as two hosts see them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.mounts = (root / "a", root / "b")
        self._server = Host("gluster.test")

    def start(self) -> Gluster:
        for name in ("a", "b", "brick", "work"):
            (self._root / name).mkdir(parents=True)
        (self._root / "glusterd.vol").write_text(
            f"volume management\n type mgmt/glusterd\n option working-directory {self._root}/work\n"
            " option transport-type socket\nend-volume\n"
        )
        with self._server.inside():
            _run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
            _run("ip", "addr", "add", f"{SERVER}/24", "dev", "v0")
            for name in ("v0", "v1"):
                _run("ip", "link", "set", name, "up")
            _run(
                "glusterd", "-f", f"{self._root}/glusterd.vol", "-p", f"{self._root}/pid", "-l", f"{self._root}/d.log"
            )
            eventually(lambda: self._ask("volume", "list"), 60, "glusterd answers")
            eventually(
                lambda: self._ask("volume", "create", "spool", f"{SERVER}:{self._root}/brick/spool", "force"), 60
            )
            eventually(lambda: self._ask("volume", "start", "spool"), 60, "the volume starts")
            for mount in self.mounts:
                _run(
                    "glusterfs", f"--volfile-server={SERVER}", "--volfile-id=spool",
                    f"--log-file={mount}.log", str(mount),
                )  # fmt: skip
                eventually(lambda mount=mount: os.path.ismount(mount), 60, "the volume is mounted")
        return self

    def hang(self) -> Callable[[], None]:
        """Every operation waits from now on, until what is returned is called."""
        bricks = [pid for pid in self._server.processes() if _is_called(pid, "glusterfsd")]
        assert bricks
        for pid in bricks:
            os.kill(pid, signal.SIGSTOP)
        return lambda: [os.kill(pid, signal.SIGCONT) for pid in bricks] and None

    def stop(self) -> None:
        for mount in self.mounts:
            subprocess.run([_path("umount"), "-l", str(mount)], capture_output=True, timeout=60)
        self._server.close()
        time.sleep(0.2)
        shutil.rmtree(self._root, ignore_errors=True)

    def _ask(self, *words: str) -> bool:
        done = subprocess.run([_path("gluster"), "--mode=script", *words], capture_output=True, timeout=60)
        return done.returncode == 0


def _is_called(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name[:15]
    except OSError:
        return False


def _space(kind: str) -> int:
    return os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def _enter(spaces: list[tuple[int, int]]) -> None:
    for descriptor, kind in spaces:
        _check(_libc.setns(descriptor, kind))


def _run(program: str, *words: str) -> None:
    done = subprocess.run([_path(program), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stdout}{done.stderr}"


def _path(program: str) -> str:
    found = _which(program)
    assert found, f"{program} is not installed"
    return found


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
