"""Programs of the daemons that a command starts: they know what no command may import (tests/test_rooms.py).

Each is a module with a main(), started with this interpreter and the same configuration.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REHEARSAL, INSPECTION = "mercury_s.rehearsal", "mercury_e.inspection"
ADDRESS_BOOK = "mercury_s.address_book"


def command_of(module: str, config: Path, arguments: Sequence[str]) -> list[str]:
    #  Found where we were found, never in a folder we happen to stand in.
    safe = [] if sys.path[0] in ("", os.getcwd()) else ["-P"]
    return [sys.executable, *safe, "-m", module, "--config", str(config), *arguments]


def run_through(module: str, config: Path, arguments: Sequence[str]) -> int:
    """With our own standard streams; its exit code."""
    return subprocess.run(command_of(module, config, arguments), check=False).returncode


def said_by(module: str, config: Path, arguments: Sequence[str], said: str = "") -> tuple[int, list[str], str]:
    """Exit code, the lines it wrote when it was told `said`, and what it complained of."""
    done = subprocess.run(
        command_of(module, config, arguments), input=said, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.strip()
