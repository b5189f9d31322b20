"""Tries what a service may not do, one thing for each option of its sandbox, and prints what was allowed.

Runs inside the machine, in the sandbox of a unit (test_booted.py); nothing of the project is imported.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)
NEW_USER_NAMESPACE, NEW_MOUNTS = 0x10000000, 0x00020000


def call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write(path: str) -> Callable[[], object]:
    return lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def seen(path: str) -> Callable[[], object]:
    return lambda: os.stat(path)


def set_user_id() -> None:
    path = f"/tmp/probe-{os.getpid()}"
    with open(path, "w"):
        os.chmod(path, 0o4755)


def realtime() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def listed_home() -> None:
    if not os.listdir("/root"):
        raise OSError("empty")


FORBIDDEN: dict[str, Callable[[], object]] = {
    "ProtectSystem /usr": write("/usr/probe"),
    "ProtectSystem /etc": write("/etc/probe"),
    "ProtectHome": listed_home,
    "PrivateDevices": seen("/dev/loop-control"),
    "ProtectKernelTunables": write("/proc/sys/kernel/printk"),
    "ProtectKernelModules": lambda: call("init_module", 0, 0, b""),
    "ProtectKernelLogs": lambda: call("klogctl", 3, ctypes.create_string_buffer(10), 10),
    "ProtectControlGroups": write("/sys/fs/cgroup/cgroup.procs"),
    "ProtectClock": lambda: os.close(os.open("/dev/rtc0", os.O_RDONLY)),
    "ProtectHostname": lambda: call("sethostname", b"x", 1),
    "ProtectProc": seen("/proc/1/status"),
    "ProcSubset": seen("/proc/meminfo"),
    "RestrictAddressFamilies netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "RestrictAddressFamilies packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "RestrictNamespaces": lambda: call("unshare", NEW_USER_NAMESPACE),
    "PrivateMounts": lambda: call("unshare", NEW_MOUNTS),
    "RestrictRealtime": realtime,
    "RestrictSUIDSGID": set_user_id,
    "LockPersonality": lambda: call("personality", 0x0008),
    "SystemCallFilter chroot": lambda: os.chroot("/"),
    "SystemCallFilter mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
}

for name, attempt in FORBIDDEN.items():
    try:
        attempt()
    except (OSError, AttributeError):
        continue
    print("allowed:", name)
with open("/proc/self/status") as file:
    status = dict(line.rstrip().split(":", 1) for line in file)
for key, value in (
    ("NoNewPrivs", "1"),
    ("CapBnd", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("Umask", "0077"),
):
    if status[key].strip() != value:
        print("not so:", key, status[key].strip())
print("tried:", len(FORBIDDEN))
