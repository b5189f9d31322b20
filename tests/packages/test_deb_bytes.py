"""The Debian package: the same input gives the same bytes, and it says of itself what is so."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from packages.building import ROOT, build_deb, run, why_not

from shared import __version__

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_deb(tmp_path_factory.mktemp("deb"))


def test_built_again_elsewhere_it_is_the_same(deb: Path, tmp_path: Path) -> None:
    other = tmp_path / "a checkout of another name"
    run("git", "clone", "--quiet", ROOT, other)
    for name in run("git", "diff", "--name-only", "HEAD").split():
        if (ROOT / name).exists():
            (other / name).write_bytes((ROOT / name).read_bytes())
    for name in ("tools", "wheelhouse"):
        (other / "build").mkdir(exist_ok=True)
        (other / "build" / name).symlink_to(ROOT / "build" / name)
    said = run(
        other / "build/tools/bin/python", other / "package/deb.py", tmp_path, "--fast", cwd=other,
        SOURCE_DATE_EPOCH="1790000000", TZ="Asia/Kolkata", LC_ALL="C.UTF-8", HOME=str(tmp_path),
    )  # fmt: skip
    assert Path(said.strip()).read_bytes() == deb.read_bytes()


def test_what_it_says_of_itself(deb: Path) -> None:
    assert run("dpkg-deb", "--field", deb, "Package", "Version").split() == [
        "Package:",
        "mercury-mail",
        "Version:",
        __version__,
    ]
    owners = {line.split()[1] for line in run("dpkg-deb", "--contents", deb).splitlines()}
    assert owners == {"root/root"}


def test_nothing_of_the_build_is_left_in_it(deb: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--extract", deb, tmp_path / "tree")
    files = [path for path in (tmp_path / "tree").rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 1000
    assert not [path for path in files if path.suffix == ".pyc"]
    assert not [path for path in files if str(ROOT).encode() in path.read_bytes()]
    for path in (tmp_path / "tree/opt/mercury/bin").iterdir():
        assert path.is_symlink() or path.read_bytes().startswith(b"#!/opt/mercury/bin/python3\n"), path
    tops = {path.name for path in (tmp_path / "tree/opt/mercury/lib").glob("python3.*/site-packages/*")}
    assert {"mercury_s", "shared", "twisted"} <= tops and not {"tests", "etc", "docs"} & tops


def test_the_manual_and_the_completion_are_where_debian_looks(deb: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--extract", deb, tmp_path / "tree")
    share = tmp_path / "tree/usr/share"
    pages = {path.name: gzip.decompress(path.read_bytes()).decode() for path in share.glob("man/man?/*.gz")}
    assert set(pages) == {"mercury.1.gz", "mercury.yaml.5.gz", "mercury.7.gz"}
    assert "queue trail" in pages["mercury.1.gz"].replace("\\-", "-") and "smarthosts" in pages["mercury.yaml.5.gz"]
    assert "complete " in (share / "bash-completion/completions/mercury").read_text()
    assert (share / "zsh/vendor-completions/_mercury").read_text().startswith("#compdef mercury")
    assert "complete " in (share / "fish/vendor_completions.d/mercury.fish").read_text()
