"""What a package is made from: the files of the checkout that git knows, copied out, at one point in time.

Nothing that merely lies about (environments, caches, files not added yet) gets into a package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def epoch() -> int:
    """The time that everything in a package bears: SOURCE_DATE_EPOCH, or that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or run("git", "log", "-1", "--format=%ct", cwd=ROOT))


def version(tree: Path = ROOT) -> str:
    found = re.search(r'^__version__ = "([^"]+)"$', (tree / "shared/__init__.py").read_text(), re.MULTILINE)
    assert found, "shared/__init__.py says no version"
    return found[1]


def copy_out(folder: Path, time: int) -> None:
    """The files that git knows, as they are now, every one with the same time and no more than its x bit."""
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        source = ROOT / name
        if not name or not source.is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    set_times(folder, time)


def set_times(folder: Path, time: int) -> None:
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (time, time), follow_symlinks=False)


def run(*words: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """What a program says. Raises SystemExit with what it complained of."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
