"""Packages of this checkout for the tests: built once in a run, by the commands that build them for everybody."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/tools/bin/python"
#  Of every package that a test builds.
TIME = "1790000000"


def why_not() -> str:
    """What is missing here to build packages."""
    if not shutil.which("dpkg-deb"):
        return "there is no dpkg-deb here"
    if not (ROOT / ".git").exists():
        return "packages are made from what git knows, and this is no clone"
    done = subprocess.run(["/usr/bin/python3", "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "there is no /usr/bin/python3 with its venv module"


def run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """With a clean environment, as on somebody else's machine; what it says."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MERCURY", "VIRTUAL"))
    }
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def make_tools() -> None:
    run(ROOT / "package/environment")


def build_dist(folder: Path) -> tuple[Path, Path]:
    """sdist and wheel."""
    make_tools()
    said = run(TOOLS, ROOT / "package/dist.py", folder, SOURCE_DATE_EPOCH=TIME)
    sdist, wheel = said.split()
    return Path(sdist), Path(wheel)


def build_deb(folder: Path, *words: str | Path) -> Path:
    make_tools()
    return Path(run(TOOLS, ROOT / "package/deb.py", folder, "--fast", *words, SOURCE_DATE_EPOCH=TIME).strip())
