"""package/release.py on a clone: what it refuses, what it says it would do, and what it does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packages.building import ROOT, make_tools, why_not

needs_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="this is no clone, or there is no git"
)
NEXT = "7.0.0"


def git(clone: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def release(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(clone / "package/release.py"), *words],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """With what is here now, a heading for the next version, and everything committed."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(folder))
    for name in git(ROOT, "ls-files").splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    changes = folder / "CHANGELOG.md"
    head, first, rest = changes.read_text().partition("\n## ")
    changes.write_text(f"{head}\n## {NEXT}, unreleased\n\n* **Wings**: it flies.\n{first}{rest}")
    git(folder, "config", "user.name", "A Tester")
    git(folder, "config", "user.email", "tester@mercury.invalid")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is")
    return folder


@needs_git
def test_every_reason_against_it_is_said_at_once(clone: Path) -> None:
    (clone / "README.md").write_text("changed\n")
    git(clone, "tag", "v8.0.0")
    done = release(clone, "8.0.0")
    assert done.returncode == 1 and git(clone, "tag") == "v8.0.0"
    for words in (
        "not clean",
        "README.md",
        "released already",
        "no heading '## 8.0.0, unreleased'",
        "nothing has been done",
    ):
        assert words in done.stderr
    assert "no version" in release(clone, "next").stderr


@needs_git
def test_a_rehearsal_changes_nothing(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    done = release(clone, NEXT, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert (
        "would run make test" in done.stdout
        and "**Wings**: it flies." in done.stdout
        and "MercuryS" not in done.stdout
    )
    assert git(clone, "rev-parse", "HEAD") == before and git(clone, "status", "--porcelain") == "" == git(
        clone, "tag", "-l", "v7*"
    )


@needs_git
def test_what_failed_is_put_back(clone: Path) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to("/bin/false")
    done = release(clone, NEXT, "--without-tests")
    assert done.returncode == 1 and "put back" in done.stderr
    assert (
        git(clone, "status", "--porcelain") == "" and f"## {NEXT}, unreleased" in (clone / "CHANGELOG.md").read_text()
    )


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
def test_a_release(clone: Path) -> None:
    make_tools()
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (clone / ".venv/bin/python").chmod(0o755)
    (clone / "build").mkdir()
    for name in ("tools", "wheelhouse"):
        (clone / "build" / name).symlink_to(ROOT / "build" / name)
    done = release(clone, NEXT, "--without-tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(clone, "status", "--porcelain") == "" and git(clone, "tag", "-l", "v7*") == f"v{NEXT}"
    assert f'"{NEXT}"' in git(clone, "show", f"v{NEXT}:shared/__init__.py")
    assert (clone / "tests/spools" / NEXT / "expected.json").exists()
    names = {path.name for path in (clone / "dist").iterdir()}
    assert {f"mercury_mail-{NEXT}.tar.gz", f"mercury_mail-{NEXT}-py3-none-any.whl", "NOTES.md"} < names
    assert any(name.startswith(f"mercury-mail_{NEXT}_") for name in names)
    notes = (clone / "dist/NOTES.md").read_text()
    assert (
        notes.startswith(f"# Mercury {NEXT}\n\n* **Wings**: it flies.\n\n## SHA-256\n")
        and notes.count("mercury") >= 3
    )
    assert "released already" in release(clone, NEXT).stderr
