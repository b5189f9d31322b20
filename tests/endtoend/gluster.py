"""A shared file system for two hosts: GlusterFS, one brick, mounted twice, in a network of its own. Needs root.

It works in folders of one's own machine that have fixed names (PLACES), so it is for a sealed room (tests/proof/sealed.py),
which has its own of them, and with which all of it goes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from deadline import eventually
from host import Host, path_of, run, which

#  GlusterFS takes no address of loopback for a server's.
SERVER = "10.77.0.1"
#  Its state, its sockets and its logs.
PLACES = ("/var/lib/glusterd", "/run/gluster", "/var/log/glusterfs")


def why_no_gluster(root: Path) -> str:
    """Why there can be none below `root`; empty when there can."""
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    missing = [name for name in ("ip", "glusterd", "gluster", "glusterfs") if not which(name)]
    if missing:
        return f"{', '.join(missing)} not installed: tests/peers.sh fetches it"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"no FUSE here: /dev/fuse: {error.strerror}"
    try:
        os.setxattr(root, "trusted.mercury", b"x")
        os.removexattr(root, "trusted.mercury")
    except OSError as error:
        return f"no place for a brick: trusted attributes in {root}: {error.strerror}"
    return ""


class Gluster:
    """`mounts` are the same files, as two hosts see them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.mounts = (root / "a", root / "b")
        self._server = Host("gluster.test")
        self._socket = root / "glusterd.socket"

    def start(self) -> Gluster:
        for name in ("a", "b", "brick", "work"):
            (self._root / name).mkdir(parents=True)
        (self._root / "glusterd.vol").write_text(
            f"volume management\n type mgmt/glusterd\n option working-directory {self._root}/work\n"
            f" option glusterd-sockfile {self._socket}\n option transport-type socket\nend-volume\n"
        )
        with self._server.inside():
            run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
            run("ip", "addr", "add", f"{SERVER}/24", "dev", "v0")
            for name in ("v0", "v1"):
                run("ip", "link", "set", name, "up")
            run(
                "glusterd", "-f", f"{self._root}/glusterd.vol", "-p", f"{self._root}/pid", "-l", f"{self._root}/d.log"
            )
            eventually(lambda: self._ask("volume", "list"), 60, "glusterd answers")
            eventually(
                lambda: self._ask("volume", "create", "spool", f"{SERVER}:{self._root}/brick/spool", "force"), 60
            )
            eventually(lambda: self._ask("volume", "start", "spool"), 60, "the volume starts")
            for mount in self.mounts:
                run(
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
            subprocess.run([path_of("umount"), "-l", str(mount)], capture_output=True, timeout=60)
        self._server.close()
        time.sleep(0.2)
        shutil.rmtree(self._root, ignore_errors=True)

    def _ask(self, *words: str) -> bool:
        done = subprocess.run(
            [path_of("gluster"), "--mode=script", f"--glusterd-sock={self._socket}", *words],
            capture_output=True,
            timeout=60,
        )
        return done.returncode == 0


def _is_called(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name[:15]
    except OSError:
        return False
