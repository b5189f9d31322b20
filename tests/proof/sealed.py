"""A sealed room for the proof: name spaces of mounts, processes and network that go with it, however it ends.

Whatever is mounted, started or listening inside is gone when the last process is: after Ctrl-C, and after SIGKILL. The
kernel lets loop devices go with their mounts. Needs root; without it the proof runs outside, and what needs mounts is
"not run".

    python tests/proof/sealed.py PYTHON-ARGUMENTS...

runs Python with these arguments inside, and ends with NOT_HERE where there is no room.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

MARK = "MERCURY_PROOF_IS_SEALED"
NOT_HERE = 77


def enter() -> None:
    """Go on as the same program inside the room. Returns inside, or outside where there is no room to be had."""
    if os.environ.get(MARK) or os.getuid() != 0:
        return
    os.environ[MARK] = "yes"
    room = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    if subprocess.run([*room, "true"], capture_output=True).returncode != 0:
        return
    os.execvp(room[0], [*room, sys.executable, *sys.argv])


def is_sealed() -> bool:
    return os.getpid() == 1


def tend() -> None:
    """As the first process of the room: bring loopback up, and let a child do the work, as the first one has to take
    in those whose parents have died. Returns in the child only."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    child = os.fork()
    if not child:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  #  The terminal tells the child as well.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGINT))
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0x7F)


def own_places(*folders: str) -> None:
    """Folders of the machine that are empty in this room, and take in nothing that outlives it."""
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "room", folder], check=True)


def main() -> None:
    if not is_sealed():
        os.environ.pop(MARK, None)
        enter()
        print("no name spaces of mounts, processes and network are to be had here")
        sys.exit(NOT_HERE)
    tend()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
