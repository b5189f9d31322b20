"""`deb.py FOLDER [--fast]`: the Debian package, with an environment of its own in /opt/mercury. The same input gives
the same bytes.

Laid out by hand and packed by dpkg-deb. What dh-virtualenv would do (make an environment, install into it, mend the
paths) is for wheels a matter of unpacking them to their final place, which the `installer` library does; it needs no
debhelper and no root. Python's caches are left out and compiled on the host (debian/postinst).

What the wheels are is said by package/runtime.txt, with hashes; pip brings them into build/wheelhouse once.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from dist import build as build_dist
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from tree import ROOT, copy_out, epoch, run, set_times, version

NAME = "mercury-mail"
HOME = "/opt/mercury"
PYTHON = "/usr/bin/python3"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
#  Where each shell of Debian looks for what completes the words of a program.
COMPLETION = {
    "bash": "usr/share/bash-completion/completions/mercury",
    "zsh": "usr/share/zsh/vendor-completions/_mercury",
    "fish": "usr/share/fish/vendor_completions.d/mercury.fish",
}
COMMANDS = ("mercury", "mercury-sendmail", "mercury-mailq")


def build(folder: Path, time: int, tree: Path, is_fast: bool = False) -> Path:
    """The package of `tree`; into `folder`."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        stage = Path(name, "stage")
        _, wheel = build_dist(Path(name, "dist"), time, tree)
        _lay_environment(stage, [wheel, *wheelhouse(tree / "package/runtime.txt")])
        _lay_system(stage, tree)
        _lay_manual(stage, tree, time)
        _lay_completion(stage)
        _lay_control(stage, tree)
        _set_modes(stage)
        set_times(stage, time)
        architecture = run("dpkg", "--print-architecture")
        target = folder / f"{NAME}_{debian_version(version(tree))}_{architecture}.deb"
        folder.mkdir(parents=True, exist_ok=True)
        #  One thread: with several the blocks would depend on the machine.
        pack = ["-Zgzip", "-z1"] if is_fast else ["-Zxz", "-z6", "--threads-max=1"]
        run("dpkg-deb", "--root-owner-group", *pack, "--build", stage, target, SOURCE_DATE_EPOCH=str(time))
        return target


def debian_version(text: str) -> str:
    """1.0.0rc1 comes before 1.0.0, as Debian writes it: 1.0.0~rc1."""
    return re.sub(r"(?<=\d)\.?(a|b|rc|dev)(?=\d)", r"~\1", text)


def wheelhouse(wanted: Path) -> list[Path]:
    """The wheels that `wanted` names, fetched unless they are here; pip compares every hash."""
    mark = hashlib.sha256(wanted.read_bytes() + run(PYTHON, "-VV").encode()).hexdigest()[:16]
    folder = ROOT / "build/wheelhouse" / mark
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent))
        words = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:", "--no-deps"]
        run(sys.executable, "-m", "pip", "download", *words, "--dest", part, "--requirement", wanted)
        part.rename(folder)
    return sorted(folder.glob("*.whl"))


def _lay_environment(stage: Path, wheels: list[Path]) -> None:
    version = python_version()
    site = f"{HOME}/lib/python{version}/site-packages"
    places = {"purelib": site, "platlib": site, "headers": f"{HOME}/include", "scripts": f"{HOME}/bin", "data": HOME}
    destination = SchemeDictionaryDestination(
        places, interpreter=f"{HOME}/bin/python3", script_kind="posix", destdir=str(stage)
    )
    for wheel in wheels:
        with WheelFile.open(wheel) as source:
            install(source, destination, additional_metadata={"INSTALLER": b"deb\n"})
    home = stage / HOME.lstrip("/")
    for name in ("python3", "python"):
        (home / "bin" / name).symlink_to(PYTHON)
    (home / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")


def _lay_system(stage: Path, tree: Path) -> None:
    """Units and the like by `mercury setup` of what was just laid out; links, and what Debian wants to read."""
    _mercury(stage, "setup", "--package", "--programs", f"{HOME}/bin", "--root", stage)
    preset = stage / "usr/lib/systemd/system-preset/60-mercury.preset"
    preset.parent.mkdir(parents=True)
    shutil.copyfile(tree / "package/debian/preset", preset)
    commands = stage / "usr/bin"
    commands.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS:
        (commands / name).symlink_to(f"{HOME}/bin/{name}")
    papers = stage / "usr/share/doc" / NAME
    papers.mkdir(parents=True)
    shutil.copyfile(tree / "LICENSE", papers / "copyright")
    for path in (tree / "CHANGELOG.md", tree / "README.md", tree / "etc/mercury.yaml", tree / "etc/grafana.json"):
        shutil.copyfile(path, papers / path.name)
    shutil.copytree(tree / "docs", papers / "docs", ignore=shutil.ignore_patterns("*.py"))
    rotation = stage / "etc/logrotate.d/mercury-mail"
    rotation.parent.mkdir(parents=True)
    shutil.copyfile(tree / "package/debian/logrotate", rotation)


def _mercury(stage: Path, *words: str | Path) -> str:
    """What the command says that was just laid out."""
    code = "from shared.admin.__main__ import main; main()"
    return run(stage / HOME.lstrip("/") / "bin/python3", "-B", "-P", "-c", code, *words)


def _lay_manual(stage: Path, tree: Path, time: int) -> None:
    """The man pages of docs/, with mercury(1) as this version's own commands tell it."""
    with tempfile.TemporaryDirectory() as name:
        book = Path(name, "docs")
        shutil.copytree(tree / "docs", book)
        Path(name, "shared").mkdir()
        shutil.copyfile(tree / "shared/__init__.py", Path(name, "shared/__init__.py"))
        tell = "import sys; from shared.admin.manual import manual; sys.stdout.write(manual())"
        python = stage / HOME.lstrip("/") / "bin/python3"
        (book / "man/mercury.1.md").write_text(run(python, "-B", "-P", "-c", tell) + "\n")
        words = ["-q", "-b", "man", book, Path(name, "man")]
        run(sys.executable, "-m", "sphinx", *words, SOURCE_DATE_EPOCH=str(time), LC_ALL="C.UTF-8")
        for page in sorted(Path(name, "man").glob("*.[1-9]")):
            target = stage / f"usr/share/man/man{page.suffix[1:]}" / f"{page.name}.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))


def _lay_completion(stage: Path) -> None:
    for shell, place in COMPLETION.items():
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        (stage / place).write_text(_mercury(stage, "completion", shell) + "\n")


def _lay_control(stage: Path, tree: Path) -> None:
    folder = stage / "DEBIAN"
    folder.mkdir()
    for script in SCRIPTS:
        source = tree / "package/debian" / script
        if source.exists():
            shutil.copyfile(source, folder / script)
    files = sorted(
        path for path in stage.rglob("*") if path.is_file() and not path.is_symlink() and folder not in path.parents
    )
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(stage)}\n" for path in files]
    (folder / "md5sums").write_text("".join(sums))
    (folder / "conffiles").write_text(
        "".join(f"/{path.relative_to(stage)}\n" for path in files if path.parts[len(stage.parts)] == "etc")
    )
    #  In KiB, each file for itself, as Policy has it.
    size = sum((path.stat().st_size + 1023) // 1024 for path in files)
    major, minor = python_version().split(".")
    text = (tree / "package/debian/control").read_text()
    for word, value in {
        "@version@": debian_version(version(tree)),
        "@architecture@": run("dpkg", "--print-architecture"),
        "@size@": str(size),
        "@python@": f"python3 (>= {major}.{minor}~), python3 (<< {major}.{int(minor) + 1}~)",
    }.items():
        text = text.replace(word, value)
    (folder / "control").write_text(text)


def _set_modes(stage: Path) -> None:
    for path in [stage, *stage.rglob("*")]:
        if path.is_symlink():
            continue
        is_program = path.parent in (stage / f"{HOME.lstrip('/')}/bin", stage / "DEBIAN")
        is_program &= path.name not in ("control", "conffiles", "md5sums")
        path.chmod(0o755 if path.is_dir() or is_program else 0o644)


def python_version() -> str:
    return run(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fast", action="store_true", help="packed less tightly, for a test")
    parser.add_argument("--tree", type=Path, help="instead of the checkout: a folder with its files")
    given = parser.parse_args()
    time = epoch()
    with tempfile.TemporaryDirectory() as name:
        tree = given.tree
        if tree is None:
            tree = Path(name, "tree")
            copy_out(tree, time)
        print(build(given.folder, time, tree, given.fast))


if __name__ == "__main__":
    main()
