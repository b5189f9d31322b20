"""A file system on which rename or sync do not hold: the daemons refuse to start on it, and say why."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadline import eventually
from mailsite import Site
from process import Process, end_with_parent

from shared.spool.spool import Spool, SpoolUnusable

PROGRAM = Path(__file__).with_name("faulty_disk.py")
#  What the refusal says, for each of faulty_disk.FAULTS.
SAID = {
    "rename fails": "cannot create, sync and rename a file in it: Invalid cross-device link",
    "rename copies": "a file that was renamed is still there under its old name",
    "rename forgets": "a file has lost its content when it is renamed",
    "fsync fails": "cannot create, sync and rename a file in it: Input/output error",
    "folders cannot be synced": "cannot create, sync and rename a file in it: Invalid argument",
    "no colons": "cannot create, sync and rename a file in it: Invalid argument",
    "short names": "cannot create, sync and rename a file in it: File name too long",
    "own times": "it does not keep the time that a file is given",
}
#  So long that the names of its claims are longer than some file systems let them be.
HOST = "a-host-with-a-long-name.in-a-department.of-a-company.test"


class Disk:
    def __init__(self, root: Path) -> None:
        self.place, self._fault = root / "disk", root / "fault"
        (root / "real").mkdir()
        self.place.mkdir()
        self.be("well")
        command = [sys.executable, str(PROGRAM), str(root / "real"), str(self.place), str(self._fault)]
        self._process = Process("faulty disk", command, root / "log" / "disk.log")

    def be(self, fault: str) -> None:
        part = self._fault.with_suffix(".part")
        part.write_text(fault)
        part.rename(self._fault)

    def begin(self) -> None:
        self._process.start(lambda: os.path.ismount(self.place), limit=end_with_parent)

    def end(self) -> None:
        self._process.stop()
        eventually(lambda: not os.path.ismount(self.place), 20, "it is unmounted")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        pytest.skip(f"no FUSE here: /dev/fuse: {error.strerror}")
    if not shutil.which("fusermount3"):
        pytest.skip("fusermount3 is not installed: tests/peers.sh fetches it")
    pytest.importorskip("mfusepy", reason="mfusepy is not installed")
    disk = Disk(tmp_path_factory.mktemp("faulty"))
    try:
        disk.begin()
        yield disk
    finally:
        disk.end()


@pytest.mark.parametrize("fault", SAID)
def test_each_fault_is_told(disk: Disk, fault: str) -> None:
    from faulty_disk import FAULTS

    assert set(FAULTS) == set(SAID)
    disk.be("well")
    Spool(disk.place / "queue", HOST).prepare()
    disk.be(fault)
    with pytest.raises(SpoolUnusable) as refused:
        Spool(disk.place / "queue", HOST).prepare()
    assert SAID[fault] in str(refused.value) and str(disk.place) in str(refused.value)
    assert not [path for path in (disk.place / "queue").rglob("*") if path.is_file()], "nothing is left of the trial"


@pytest.mark.parametrize(("fault", "letters"), [("rename copies", "sce"), ("fsync fails", "s")])
def test_no_daemon_starts_on_it(disk: Disk, site: Site, fault: str, letters: str) -> None:
    disk.be(fault)
    site.config["spool"] = str(disk.place / "of-daemons")
    site.write_config()
    for letter in letters:
        code, said = site.run_to_its_end(letter, 60)
        assert code == 1 and len(said.splitlines()) == 1, said
        assert f"spool {disk.place}/of-daemons: " in said and "; use " in said
        assert SAID[fault] in said
