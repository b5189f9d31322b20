"""A network of the test's own: only loopback, with a packet filter that blocks what the test says. Needs root.

The calling thread enters it, and with it every thread and process that it begins from then on; nothing outside is
touched, and all of it is gone when the last of them has ended.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Why there can be no such network here; empty when there can."""
    if os.geteuid() != 0:
        return "a network of its own needs root"
    missing = [program for program in ("ip", "nft") if not _which(program)]
    return f"{' and '.join(missing)} not installed: `make peers`" if missing else ""


@contextmanager
def own_network() -> Iterator[None]:
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(_CLONE_NEWNET))
        try:
            _run("ip", "link", "set", "lo", "up")
            yield
        finally:
            _check(_libc.setns(outside, _CLONE_NEWNET))
    finally:
        os.close(outside)


def block(port: int) -> None:
    """Packets to that port vanish, as with a provider that blocks it."""
    _run("nft", "add table inet filter")
    _run("nft", "add chain inet filter output { type filter hook output priority 0; policy accept; }")
    _run("nft", f"add rule inet filter output tcp dport {port} drop")


def unblock() -> None:
    _run("nft", "flush ruleset")


def _run(program: str, *words: str) -> None:
    found = _which(program)
    assert found, f"{program} is not installed"
    done = subprocess.run([found, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
