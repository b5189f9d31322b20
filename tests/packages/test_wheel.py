"""sdist and wheel: what is in them, that the same files give the same bytes, and that they work where pip or pipx put them."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from packages.building import ROOT, build_dist, run, why_not

from shared import __version__

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.timeout(600),
]
COMMANDS = ("mercury", "mercury-s", "mercury-c", "mercury-e", "mercury-web", "mercury-sendmail", "mercury-mailq")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build_dist(tmp_path_factory.mktemp("dist"))


def test_the_same_files_give_the_same_bytes(built: tuple[Path, Path], tmp_path: Path) -> None:
    for first, second in zip(built, build_dist(tmp_path), strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_the_wheel_holds_our_packages_and_nothing_besides(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    tops = {name.split("/")[0] for name in names}
    stem = f"mercury_mail-{__version__}"
    assert tops == {"mercury_s", "mercury_c", "mercury_e", "shared", f"{stem}.data", f"{stem}.dist-info"}
    tracked = run("git", "ls-files", "mercury_s", "mercury_c", "mercury_e", "shared").split()
    assert set(tracked) <= names, "every file of the import packages, those that are no Python included"
    units = {
        f"{stem}.data/data/share/mercury/{path}"
        for path in run("git", "ls-files", "systemd", cwd=ROOT / "etc").split()
    }
    assert units <= names


def test_the_sdist_is_whole(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in run("git", "ls-files").split() if not name.startswith(".git")}
    assert tracked - names == set()


def _try_it(programs: Path, tmp_path: Path) -> None:
    for name in COMMANDS:
        assert (programs / name).is_file(), name
    assert __version__ in run(programs / "mercury", "--version", cwd=tmp_path)
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    run(programs / "mercury", "setup", "--package", "--root", root, cwd=tmp_path)
    unit = (root / "usr/lib/systemd/system/mercury-s.service").read_text()
    assert unit == (ROOT / "etc/systemd/mercury-s.service").read_text()
    done = subprocess.run(
        [programs / "mercury-s", "--config", tmp_path / "none.yaml"], capture_output=True, check=False
    )
    assert done.returncode == 2 and b"none.yaml" in done.stderr


@pytest.mark.parametrize("which", ["sdist", "wheel"])
def test_pip_installs_it_into_an_empty_environment(built: tuple[Path, Path], which: str, tmp_path: Path) -> None:
    run("/usr/bin/python3", "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv/bin"
    run(programs / "pip", "install", "--quiet", built[which == "wheel"], cwd=tmp_path)
    _try_it(programs, tmp_path)
    said = run(programs / "mercury", "demo", "--once", cwd=tmp_path)
    assert "WRONG" not in said


def test_pipx_installs_it(built: tuple[Path, Path], tmp_path: Path) -> None:
    run("/usr/bin/python3", "-m", "venv", tmp_path / "pipx-venv")
    run(tmp_path / "pipx-venv/bin/pip", "install", "--quiet", "pipx", cwd=tmp_path)
    places = {
        "PIPX_HOME": str(tmp_path / "home"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
    }
    run(tmp_path / "pipx-venv/bin/pipx", "install", "--python", "/usr/bin/python3", built[1], cwd=tmp_path, **places)
    _try_it(tmp_path / "bin", tmp_path)
