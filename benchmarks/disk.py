"""Where the spools lie while they are measured: a journaled ext4 of its own, in an image, for both rivals the same.

A file system that others use, or one without a journal, makes the order of the runs count for more than the servers.
Mounting needs root; without it the spools lie in an ordinary folder, and the report says so.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IMAGE_BYTES = 2 << 30


class Disk:
    def __init__(self, folder: Path, octets: int = IMAGE_BYTES, inodes: int = 500_000) -> None:
        self._octets, self._inodes = octets, inodes
        self._image = folder / "spool.img"
        self._device = ""
        self.path = folder / "disk"
        self.words = "journaled ext4 in a loop image"

    def __enter__(self) -> Disk:
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._mount()
        except (OSError, subprocess.CalledProcessError) as error:
            self.__exit__()
            self.words = f"an ordinary folder ({_reason(error)}): compare only within this run, and with doubt"
        return self

    def _mount(self) -> None:
        if os.geteuid() != 0:
            raise OSError("a file system of its own needs root")
        #  Written, not sparse: the image shall not be allocated while the servers are measured. A very large one is
        #  reserved only.
        if self._octets > IMAGE_BYTES:
            _run("fallocate", "-l", str(self._octets), str(self._image))
        else:
            _run("dd", "if=/dev/zero", f"of={self._image}", "bs=4M", f"count={self._octets >> 22}", "status=none")
        self._device = _run("losetup", "-f", "--show", "--direct-io=on", str(self._image)).strip()
        options = "lazy_itable_init=0,lazy_journal_init=0"
        _run("mkfs.ext4", "-q", "-E", options, "-m", "0", "-N", str(self._inodes), self._device)
        _run("mount", "-o", "relatime", self._device, str(self.path))

    def forget(self) -> None:
        """Nothing of it is in memory any more, as after a boot. Nobody may have a file open there."""
        if self._device:
            _run("umount", str(self.path))
            _run("mount", "-o", "relatime", self._device, str(self.path))

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.path):
            subprocess.run(["umount", "-l", str(self.path)], check=False)
        if self._device:
            subprocess.run(["losetup", "-d", self._device], check=False)
        self._image.unlink(missing_ok=True)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd[0]}: {(error.stderr or '').strip()}"
    return str(error)
