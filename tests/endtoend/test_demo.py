"""`mercury demo --once`: what a stranger runs first ends well, and leaves nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mailsite import ROOT


def test_the_demonstration_ends_well(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shared.admin", "demo", "--once"],
        capture_output=True, text=True, cwd=ROOT, timeout=90, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True).stdout == ""
